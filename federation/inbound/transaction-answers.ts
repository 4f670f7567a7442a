import { setTimeout as sleep } from "node:timers/promises";
import { LRUCache } from "lru-cache";
import { held } from "#src/homeserver/held.ts";
import type { Homeserver } from "#src/homeserver/homeserver.ts";
import type { ServerName } from "#src/kit/identifiers.ts";
import { readAnswer, storeAnswers } from "./queries-transactions.ts";

type Name = { readonly origin: ServerName; readonly txnId: string };
type Answers = {
  /** What this process has answered lately. */
  readonly recent: LRUCache<string, string>;
  readonly unstored: Map<string, Name & { answer: string }>;
  isStoring: boolean;
};

/** The most characters of answers that are remembered. */
const MOST_CHARACTERS = 8_000_000;

/**
 * How long an answer waits for others to be stored with. It is no loss if that does not come to pass: what a
 * transaction has brought is known by itself when it comes again.
 */
const GROUPED_MS = 100;

const answersOf = held((): Answers => ({
  recent: new LRUCache({
    maxSize: MOST_CHARACTERS,
    sizeCalculation: (answer, name) => 100 + name.length + answer.length,
  }),
  unstored: new Map(),
  isStoring: false,
}));

/**
 * What was answered to a transaction; undefined if it was not, or long ago.
 *
 * @param isStored whether it would have been stored.
 */
export async function answerBefore(
  hs: Homeserver,
  name: Name,
  isStored: boolean,
): Promise<string | undefined> {
  const { recent, unstored } = answersOf(hs);
  const key = keyOf(name);
  const known = recent.get(key) ?? unstored.get(key)?.answer;
  return known ?? (isStored ? await readAnswer(hs, name) : undefined);
}

/**
 * Remembers an answer.
 *
 * @param isStored whether for whichever process the transaction is sent to again, and however much is answered meanwhile.
 */
export function rememberAnswer(
  hs: Homeserver,
  it: Name & { readonly answer: string },
  isStored: boolean,
): void {
  const answers = answersOf(hs);
  answers.recent.set(keyOf(it), it.answer);
  if (!isStored) return;
  answers.unstored.set(keyOf(it), it);
  if (!answers.isStoring) void store(hs, answers);
}

async function store(hs: Homeserver, answers: Answers): Promise<void> {
  answers.isStoring = true;
  while (answers.unstored.size > 0) {
    await sleep(GROUPED_MS, undefined, { ref: false });
    const its = [...answers.unstored];
    try {
      await storeAnswers(
        hs,
        its.map(([, it]) => it),
      );
    } catch (error) {
      if (!hs.stopping.aborted) hs.log.warn({ err: error }, "cannot remember what was answered");
    }
    for (const [key] of its) answers.unstored.delete(key);
  }
  answers.isStoring = false;
}

/** A server name has no space. */
function keyOf({ origin, txnId }: Name): string {
  return `${origin} ${txnId}`;
}
