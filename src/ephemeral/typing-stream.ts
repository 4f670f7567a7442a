import type { Tx } from "#src/homeserver/database.ts";
import type { Position, UnixMs } from "#src/homeserver/position.ts";
import type { Change, Outcome, Placed, Stream } from "#src/streams/stream.ts";
import { lastChangesOf } from "./last-changes.ts";
import { typingAt, typingBetween, type TypingRow, upsertTyping } from "./queries-typing.ts";

/** The name of the stream, in every `Change` of it. The detail of its changes is a `TypingDetail`. */
export const TYPING = "typing";

export type TypingDetail = {
  readonly userKey: number;
  /** Until when the user types; in the past if they have stopped. */
  readonly untilMs: UnixMs;
  /** The position of the last change that clients are told of. */
  readonly newsPosition: Position;
  /** Whether they were typing before: then it is no news for clients. */
  readonly renewed: boolean;
};

export type TypingWrite = {
  readonly roomKey: number;
  readonly userKey: number;
  /** 0 if the user has stopped. */
  readonly untilMs: UnixMs;
  readonly now: UnixMs;
  /** Whether it is written because the time has run out, and means nothing if that is no longer so. */
  readonly ifExpired: boolean;
};

/** Who types where. */
export const typingStream: Stream<TypingWrite, void> = {
  name: TYPING,
  patienceMs: 25,

  look: async (_hs, lane, writes) => await typingAt(lane, writes),

  recall(hs, writes): readonly TypingRow[] | undefined {
    const last = lastTyping(hs);
    const rows = writes.flatMap((it) => rowOf(last.get(keyOf(it))) ?? []);
    return rows.length === writes.length ? rows : undefined;
  },

  store: async (_hs, lane, writes, looked) =>
    await Promise.resolve(store(lane, writes, looked as readonly TypingRow[])),

  async changesBetween(sql, after, upTo) {
    const rows = await typingBetween(sql, after, upTo);
    return rows.map((row) => changeOf(row, row.newsPosition <= after));
  },
};

/** Who began or stopped typing lately, in whatever process. */
const lastTyping = lastChangesOf(TYPING, ({ roomKey = 0, detail }) =>
  keyOf({ roomKey, ...(detail as TypingDetail) }),
);

function rowOf(change: Change | undefined): TypingRow | undefined {
  if (change?.roomKey === undefined) return undefined;
  const { position, roomKey, detail } = change;
  const { userKey, untilMs, newsPosition } = detail as TypingDetail;
  return { roomKey, userKey, untilMs, position, newsPosition };
}

function store(
  lane: Tx,
  writes: readonly Placed<TypingWrite>[],
  looked: readonly TypingRow[],
): readonly Outcome<void>[] {
  const current = new Map(looked.map((it) => [keyOf(it), it]));
  const rows = new Map<string, TypingRow>();
  const outcomes = writes.map(({ write, position }): Outcome<void> => {
    const { roomKey, userKey, untilMs, now, ifExpired } = write;
    const key = keyOf(write);
    const { untilMs: before, newsPosition } = current.get(key) ?? NEVER;
    // Who has stopped is 0. Who has let the time run out is not, until that has been told once.
    const changes = ifExpired ? before !== 0 && before <= now : untilMs !== before;
    if (!changes) return { ok: true, result: undefined, changes: [] };
    const goesOn = before > now && untilMs > now;
    const news = goesOn ? newsPosition : position;
    const row = { roomKey, userKey, untilMs, position, newsPosition: news };
    current.set(key, row);
    rows.set(key, row);
    return { ok: true, result: undefined, changes: [changeOf(row, goesOn)] };
  });
  if (rows.size > 0) upsertTyping(lane, [...rows.values()]);
  return outcomes;
}

const NEVER = { untilMs: 0, newsPosition: 0 };

function keyOf({ roomKey, userKey }: { roomKey: number; userKey: number }): string {
  return `${roomKey} ${userKey}`;
}

/** About the room: its members are told. */
function changeOf(
  { roomKey, userKey, untilMs, position, newsPosition }: TypingRow,
  renewed: boolean,
): Change {
  const detail: TypingDetail = { userKey, untilMs, newsPosition, renewed };
  return { position, stream: TYPING, roomKey, detail };
}
