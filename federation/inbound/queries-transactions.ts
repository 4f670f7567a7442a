import type { Homeserver } from "#src/homeserver/homeserver.ts";
import type { UnixMs } from "#src/homeserver/position.ts";
import type { ServerName } from "#src/kit/identifiers.ts";

/** What was answered to a transaction, if that is stored. */
export async function readAnswer(
  hs: Homeserver,
  { origin, txnId }: { readonly origin: ServerName; readonly txnId: string },
): Promise<string | undefined> {
  const [row] = await hs.sql<{ answer: string }[]>`
    select answer from received_transactions where origin = ${origin} and txn_id = ${txnId}`;
  return row?.answer;
}

export async function storeAnswers(
  hs: Homeserver,
  its: readonly { readonly origin: ServerName; readonly txnId: string; readonly answer: string }[],
): Promise<void> {
  await hs.sql`
    insert into received_transactions (origin, txn_id, answer, answered_ms)
    select unnest(${its.map((it) => it.origin)}::text[]), unnest(${its.map((it) => it.txnId)}::text[]),
      unnest(${its.map((it) => it.answer)}::text[]), ${hs.now()}::bigint
    on conflict do nothing`;
}

/** @returns how many were forgotten. */
export async function forgetAnswers(hs: Homeserver, before: UnixMs, most: number): Promise<number> {
  const { count } = await hs.sql`
    delete from received_transactions where ctid = any(array(
      select ctid from received_transactions where answered_ms < ${before} limit ${most}))`;
  return count;
}
