import type { Tx } from "#src/homeserver/database.ts";
import type { Change, Outcome, Placed, Stream } from "#src/streams/stream.ts";
import {
  type AccountDataKey,
  type AccountDataRow,
  accountDataAt,
  accountDataBetween,
  upsertAccountData,
} from "./queries-account-data.ts";

/** The name of the stream, in every `Change` of it. The detail of its changes is an `AccountDataDetail`. */
export const ACCOUNT_DATA = "account-data";

export type AccountDataDetail = {
  readonly type: string;
  /** As JSON. Undefined if it is long: then it is read when it is wanted. */
  readonly content?: string;
};

/** What is longer is not remembered by every process. In characters. */
const MOST_REMEMBERED = 4_096;

export type AccountDataWrite = AccountDataKey &
  (
    | { readonly content: object }
    | {
        /**
         * Makes the new content from what is there when its turn comes. Undefined leaves it.
         *
         * @throws MatrixError to refuse the write.
         */
        readonly change: (current: unknown) => object | undefined;
      }
  );

/** What users have their clients keep here. */
export const accountDataStream: Stream<AccountDataWrite, void> = {
  name: ACCOUNT_DATA,

  look: async (_hs, lane, writes) => {
    const changed = writes.filter((it) => "change" in it);
    return changed.length > 0 ? await accountDataAt(lane, changed) : [];
  },

  store: async (_hs, lane, writes, looked) =>
    await store(lane, writes, looked as readonly AccountDataRow[]),

  async changesBetween(sql, after, upTo) {
    return (await accountDataBetween(sql, after, upTo)).map(changeOf);
  },
};

async function store(
  lane: Tx,
  writes: readonly Placed<AccountDataWrite>[],
  looked: readonly AccountDataRow[],
): Promise<readonly Outcome<void>[]> {
  const current = new Map(looked.map((it) => [keyOf(it), it.content]));
  const rows = new Map<string, AccountDataRow>();
  const outcomes = writes.map(({ write, position }): Outcome<void> => {
    const { userKey, roomKey, type } = write;
    const key = keyOf(write);
    try {
      const content = contentOf(write, current.get(key));
      if (content === undefined) return { ok: true, result: undefined, changes: [] };
      const row = { userKey, roomKey, type, content, position };
      current.set(key, content);
      // Of several writes to one thing the last stands.
      rows.set(key, row);
      return { ok: true, result: undefined, changes: [changeOf(row)] };
    } catch (error) {
      return { ok: false, error: error instanceof Error ? error : new Error(String(error)) };
    }
  });
  if (rows.size > 0) await upsertAccountData(lane, [...rows.values()]);
  return outcomes;
}

function contentOf(write: AccountDataWrite, current: string | undefined): string | undefined {
  if ("content" in write) return JSON.stringify(write.content);
  const content = write.change(current === undefined ? undefined : JSON.parse(current));
  return content && JSON.stringify(content);
}

function keyOf({ userKey, roomKey, type }: AccountDataKey): string {
  return `${userKey} ${roomKey} ${type}`;
}

function changeOf({ userKey, roomKey, type, content, position }: AccountDataRow): Change {
  const isShort = content.length <= MOST_REMEMBERED;
  const detail: AccountDataDetail = { type, ...(isShort && { content }) };
  return { position, stream: ACCOUNT_DATA, userKey, ...(roomKey !== 0 && { roomKey }), detail };
}
