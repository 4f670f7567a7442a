import type { UnixMs } from "#src/homeserver/position.ts";
import type { Change, Outcome, Placed, Stream } from "#src/streams/stream.ts";
import { decidePresence, type PresenceAct, type SyncingState } from "./decide-presence.ts";
import type { Presence, PresenceRow } from "./presence.ts";
import {
  deleteSyncs,
  presenceBetween,
  presenceOfUsers,
  type SyncRow,
  syncsOf,
  upsertPresence,
  upsertSyncs,
} from "./queries-presence.ts";

/**
 * The name, in every `Change`, of the stream of presence. The detail is a `Presence`; whoever shares a
 * room with its user is to be told.
 */
export const PRESENCE = "presence";

export type PresenceWrite = {
  readonly userKey: number;
  /** Whether the user is of this server. */
  readonly local: boolean;
  readonly act: PresenceAct;
  readonly now: UnixMs;
};

type Looked = { readonly rows: readonly PresenceRow[]; readonly syncs: readonly SyncRow[] };

/** Whether users are there. Only what others see of it is news. */
export const presenceStream: Stream<PresenceWrite, void> = {
  name: PRESENCE,
  patienceMs: 25,

  async look(_hs, lane, writes): Promise<Looked> {
    const userKeys = [...new Set(writes.map((it) => it.userKey))];
    const local = [...new Set(writes.filter((it) => it.local).map((it) => it.userKey))];
    const [rows, syncs] = await Promise.all([
      presenceOfUsers(lane, userKeys),
      syncsOf(lane, local),
    ]);
    return { rows, syncs };
  },

  async store(_hs, lane, placed, looked) {
    const { rows, syncs } = looked as Looked;
    const known = new Map(rows.map((it) => [it.userKey, it]));
    const syncing = new Syncing(syncs);
    const changed = new Map<number, PresenceRow>();
    const outcomes = placed.map((it): Outcome<void> => {
      const before = known.get(it.write.userKey) ?? absent(it.write);
      const row = after(before, it, syncing);
      known.set(row.userKey, row);
      if (row !== before) changed.set(row.userKey, row);
      const isNews = row.position === it.position;
      return { ok: true, result: undefined, changes: isNews ? [changeOf(row)] : [] };
    });
    await Promise.all([
      upsertPresence(lane, [...changed.values()]),
      upsertSyncs(lane, syncing.come),
      deleteSyncs(lane, syncing.gone),
    ]);
    return outcomes;
  },

  async changesBetween(sql, after, upTo) {
    return (await presenceBetween(sql, after, upTo)).map((it) => changeOf(it));
  },
};

function absent({ userKey, local }: PresenceWrite): PresenceRow {
  const nothing = { lastActiveMs: 0, toldMs: 0, position: 0 } as const;
  return { userKey, local, state: "offline", statusMsg: undefined, ...nothing };
}

function after(
  before: PresenceRow,
  { write: { userKey, act, now }, position }: Placed<PresenceWrite>,
  syncing: Syncing,
): PresenceRow {
  if (act.kind === "sync") syncing.set({ userKey, processId: act.processId }, act.state);
  const around = { syncing: syncing.of(userKey), toldMs: before.toldMs, now };
  const decided = decidePresence(before, act, around);
  if (decided === before) return before;
  const isNews = decided.state !== before.state || decided.statusMsg !== before.statusMsg;
  return { ...before, ...decided, toldMs: now, position: isNews ? position : before.position };
}

function changeOf(row: PresenceRow): Change {
  const { userKey, local, state, statusMsg, lastActiveMs, position } = row;
  const detail: Presence = { userKey, local, state, statusMsg, lastActiveMs };
  return { position, stream: PRESENCE, detail };
}

/** By which processes the users of a group sync, as the group changes it. */
class Syncing {
  readonly #byUser = new Map<number, Map<string, SyncingState>>();
  readonly #changed = new Map<string, Omit<SyncRow, "state">>();

  constructor(rows: readonly SyncRow[]) {
    for (const { userKey, processId, state } of rows) this.#syncsOf(userKey).set(processId, state);
  }

  /** What a user's clients say together to be. */
  of(userKey: number): SyncingState | undefined {
    const states = [...(this.#byUser.get(userKey)?.values() ?? [])];
    return states.includes("online") ? "online" : states[0];
  }

  set(key: Omit<SyncRow, "state">, state: SyncingState | undefined): void {
    const syncs = this.#syncsOf(key.userKey);
    if (state) syncs.set(key.processId, state);
    else syncs.delete(key.processId);
    this.#changed.set(`${key.userKey} ${key.processId}`, key);
  }

  get come(): SyncRow[] {
    return [...this.#changed.values()].flatMap((key) => {
      const state = this.#syncsOf(key.userKey).get(key.processId);
      return state ? [{ ...key, state }] : [];
    });
  }

  get gone(): Omit<SyncRow, "state">[] {
    return [...this.#changed.values()].filter(
      ({ userKey, processId }) => !this.#syncsOf(userKey).has(processId),
    );
  }

  #syncsOf(userKey: number): Map<string, SyncingState> {
    const syncs = this.#byUser.get(userKey) ?? new Map<string, SyncingState>();
    this.#byUser.set(userKey, syncs);
    return syncs;
  }
}
