import { setTimeout as sleep } from "node:timers/promises";
import { held } from "#src/homeserver/held.ts";
import type { Homeserver } from "#src/homeserver/homeserver.ts";
import type { ServerName } from "#src/kit/identifiers.ts";
import { readAnswer, storeAnswers } from "./queries-transactions.ts";

type Name = { readonly origin: ServerName; readonly txnId: string };
type Answers = { readonly unstored: Map<string, Name & { answer: string }>; isStoring: boolean };

/**
 * How long an answer waits for others to be stored with. It is no loss if that does not come to pass: what a
 * transaction has brought is known by itself when it comes again.
 */
const GROUPED_MS = 100;

const answersOf = held((): Answers => ({ unstored: new Map(), isStoring: false }));

/** What was answered to a transaction; undefined if it was not, or long ago. */
export async function answerBefore(hs: Homeserver, name: Name): Promise<string | undefined> {
  return answersOf(hs).unstored.get(keyOf(name))?.answer ?? (await readAnswer(hs, name));
}

/** Remembers an answer, for whoever sends the transaction again to whichever process. */
export function rememberAnswer(hs: Homeserver, it: Name & { readonly answer: string }): void {
  const answers = answersOf(hs);
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
