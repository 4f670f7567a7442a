import type { Tx } from "#src/homeserver/database.ts";
import { MatrixError } from "#src/kit/matrix-error.ts";
import type { Outcome, Placed, Stream } from "#src/streams/stream.ts";
import { changedRulesBetween, rulesOfUsers, upsertRules } from "./queries-push-rules.ts";
import { UNCHANGED, type UserPushRules } from "./user-push-rules.ts";

/** The name of the stream, in every `Change` of it. */
export const PUSH_RULES = "push-rules";

/** A change of a user's rules, made on what they are when its turn comes. */
export type PushRulesWrite = {
  readonly userKey: number;
  /** @throws MatrixError to refuse the change. */
  readonly change: (rules: UserPushRules) => UserPushRules;
};

/** The most that a user's rules may take as JSON, in characters. */
const MOST_CHARACTERS = 1_000_000;

/** What users have made of their push rules. */
export const pushRulesStream: Stream<PushRulesWrite, void> = {
  name: PUSH_RULES,

  look: async (_hs, lane, writes) =>
    await rulesOfUsers(
      lane,
      writes.map((it) => it.userKey),
    ),

  store: async (_hs, lane, writes, looked) =>
    await store(lane, writes, looked as Awaited<ReturnType<typeof rulesOfUsers>>),

  async changesBetween(sql, after, upTo) {
    const rows = await changedRulesBetween(sql, after, upTo);
    return rows.map(({ position, userKey }) => ({ position, userKey, stream: PUSH_RULES }));
  },
};

async function store(
  lane: Tx,
  writes: readonly Placed<PushRulesWrite>[],
  stored: ReadonlyMap<number, UserPushRules>,
): Promise<readonly Outcome<void>[]> {
  const current = new Map(stored);
  const positions = new Map<number, number>();
  const outcomes = writes.map(({ write, position }): Outcome<void> => {
    const { userKey } = write;
    try {
      const changed = write.change(current.get(userKey) ?? UNCHANGED);
      if (JSON.stringify(changed).length > MOST_CHARACTERS) throw tooMany();
      current.set(userKey, changed);
      positions.set(userKey, position);
      return { ok: true, result: undefined, changes: [{ position, userKey, stream: PUSH_RULES }] };
    } catch (error) {
      return { ok: false, error: error instanceof Error ? error : new Error(String(error)) };
    }
  });
  if (positions.size > 0) {
    await upsertRules(
      lane,
      [...positions].map(([userKey, position]) => ({
        userKey,
        position,
        rules: JSON.stringify(current.get(userKey)),
      })),
    );
  }
  return outcomes;
}

function tooMany(): MatrixError {
  return new MatrixError("M_TOO_LARGE", "Your push rules are too many");
}
