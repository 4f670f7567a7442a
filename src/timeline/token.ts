import type { Position } from "#src/homeserver/position.ts";
import { MatrixError } from "#src/kit/matrix-error.ts";

/**
 * A place between two events of a room's order: just after the event at (anchor, offset). A position of
 * the streams is such a place too, so `/sync` and `/messages` take each other's tokens.
 */
export type Place = { readonly anchor: Position; readonly offset: number };

/**
 * The tokens of `/sync`: `s` and a position; and, if a device's queue of messages was not told to its
 * end, up to where it was, after a point. Those of sliding sync name what the connection has been told,
 * after a tilde. Those of `/messages` may have an offset.
 */
const TOKEN =
  /^s(?<anchor>\d{1,15})(?:_(?<offset>-?\d{1,9})|\.(?<cutAt>\d{1,15})|~(?<told>\d{1,15}))?$/;

export function tokenOf({ anchor, offset }: Place): string {
  return offset === LAST ? `s${anchor}` : `s${anchor}_${offset}`;
}

/** The token of a sync up to a position whose answer was cut short at another, if it was. */
export function syncTokenOf(position: Position, cutAt: Position | undefined): string {
  return cutAt === undefined ? `s${position}` : `s${position}.${cutAt}`;
}

/** Where the answer that a token of `/sync` came with was cut short, if it was. */
export function cutOf(token: string): Position | undefined {
  const cutAt = TOKEN.exec(token)?.groups?.["cutAt"];
  return cutAt === undefined ? undefined : Number(cutAt);
}

/** The token of sliding sync: a position, and the key of what the connection has been told up to it. */
export function posOf(position: Position, toldKey: number): string {
  return `s${position}~${toldKey}`;
}

/** What a token of sliding sync holds; undefined if it is none. */
export function readPos(pos: string): { position: Position; toldKey: number } | undefined {
  const { anchor, told } = TOKEN.exec(pos)?.groups ?? {};
  if (told === undefined) return undefined;
  return { position: Number(anchor), toldKey: Number(told) };
}

/** The offset that is after all events of an anchor. */
const LAST = 0;

/**
 * Reads a token of ours.
 *
 * @throws MatrixError M_INVALID_PARAM
 */
export function placeOf(token: string): Place {
  const found = TOKEN.exec(token)?.groups;
  if (!found) throw new MatrixError("M_INVALID_PARAM", "Not a token of this server");
  return { anchor: Number(found["anchor"]), offset: Number(found["offset"] ?? LAST) };
}

/** The place just before an event: where reading backwards goes on from it. */
export function placeBefore(anchor: Position, offset: number): Place {
  return { anchor, offset: offset - 1 };
}
