import type { Homeserver } from "#src/homeserver/homeserver.ts";
import type { UnixMs } from "#src/homeserver/position.ts";
import type { ServerName } from "#src/kit/identifiers.ts";

/** What was answered to a transaction; undefined if it was not, or long ago. */
export async function answerBefore(
  hs: Homeserver,
  origin: ServerName,
  txnId: string,
): Promise<string | undefined> {
  const [row] = await hs.sql<{ answer: string }[]>`
    select answer from received_transactions where origin = ${origin} and txn_id = ${txnId}`;
  return row?.answer;
}

export async function rememberAnswer(
  hs: Homeserver,
  { origin, txnId, answer }: { origin: ServerName; txnId: string; answer: string },
): Promise<void> {
  await hs.sql`
    insert into received_transactions (origin, txn_id, answer, answered_ms)
    values (${origin}, ${txnId}, ${answer}, ${hs.now()}) on conflict do nothing`;
}

/** @returns how many were forgotten. */
export async function forgetAnswers(hs: Homeserver, before: UnixMs, most: number): Promise<number> {
  const { count } = await hs.sql`
    delete from received_transactions where ctid = any(array(
      select ctid from received_transactions where answered_ms < ${before} limit ${most}))`;
  return count;
}
