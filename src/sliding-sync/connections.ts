import { held } from "#src/homeserver/held.ts";
import type { Homeserver } from "#src/homeserver/homeserver.ts";
import type { Position } from "#src/homeserver/position.ts";
import { lru } from "#src/kit/lru.ts";
import { MatrixError } from "#src/kit/matrix-error.ts";
import { tailOf } from "#src/streams/tail.ts";
import { readPos } from "#src/timeline/token.ts";
import {
  type ConnectionState,
  decodeState,
  encodeState,
  NOTHING_TOLD,
} from "./connection-state.ts";
import { findTold, insertTold, markUsed } from "./queries-connections.ts";

/** A client's connection: whose it is, and what it is called. */
export type ConnectionName = { readonly deviceKey: number; readonly connectionId: string };

/** A connection as it stands at a token. */
export type Connection = ConnectionName & {
  /** Under which key what it has been told is stored; undefined of one that begins. */
  readonly toldKey: number | undefined;
  /** Up to where all that is live has been told; undefined of one that begins. */
  readonly position: Position | undefined;
  readonly state: ConnectionState;
};

/** How often it is noted that a connection is in use. */
const NOTED_MS = 24 * 60 * 60 * 1000;

type Kept = ConnectionName & { readonly state: ConnectionState; readonly usedMs: number };

/** What is stored never changes, so a process may keep it. */
const keptOf = held(() => lru<number, Kept>(10_000));

/** A connection that begins. */
export function newConnection(name: ConnectionName): Connection {
  return { ...name, toldKey: undefined, position: undefined, state: NOTHING_TOLD };
}

/**
 * The connection that a token is of.
 *
 * @throws MatrixError M_UNKNOWN_POS if it is of none of the device's that has this name, or was given up. The client
 *   then begins again.
 */
export async function connectionAt(
  hs: Homeserver,
  name: ConnectionName,
  pos: string,
): Promise<Connection> {
  const read = readPos(pos);
  const kept = read && (await keptAt(hs, read.toldKey));
  if (!read || !kept || !isSameConnection(kept, name)) throw unknownPos();
  if (!(await tailOf(hs).hasReached(read.position))) throw unknownPos();
  if (kept.usedMs < hs.now() - NOTED_MS) {
    const usedMs = hs.now();
    keptOf(hs).set(read.toldKey, { ...kept, usedMs });
    await markUsed(hs.sql, read.toldKey, usedMs);
  }
  return { ...name, ...read, state: kept.state };
}

async function keptAt(hs: Homeserver, toldKey: number): Promise<Kept | undefined> {
  const known = keptOf(hs).get(toldKey);
  if (known) return known;
  const row = await findTold(hs.sql, toldKey);
  if (!row) return undefined;
  const { deviceKey, connectionId, usedMs } = row;
  const state = decodeState(row.told);
  if (!state) return undefined;
  const kept = { deviceKey, connectionId, usedMs, state };
  keptOf(hs).set(toldKey, kept);
  return kept;
}

function isSameConnection(one: ConnectionName, other: ConnectionName): boolean {
  return one.deviceKey === other.deviceKey && one.connectionId === other.connectionId;
}

function unknownPos(): MatrixError {
  return new MatrixError("M_UNKNOWN_POS", "The connection has ended: begin again without pos");
}

/**
 * Stores what a client has been told if it gets an answer.
 *
 * @returns the key for the answer's token.
 * @throws MatrixError M_UNKNOWN_TOKEN if the device has been deleted meanwhile.
 */
export async function storeTold(
  hs: Homeserver,
  { deviceKey, connectionId, toldKey, state: before }: Connection,
  state: ConnectionState,
): Promise<number> {
  if (toldKey !== undefined && state === before) return toldKey;
  const usedMs = hs.now();
  const told = encodeState(state);
  const put = await insertTold(hs.sql, { deviceKey, connectionId, told, usedMs }, toldKey);
  if (!put) throw new MatrixError("M_UNKNOWN_TOKEN", "The device has been deleted");
  for (const key of put.gone) keptOf(hs).delete(key);
  keptOf(hs).set(put.toldKey, { deviceKey, connectionId, usedMs, state });
  return put.toldKey;
}
