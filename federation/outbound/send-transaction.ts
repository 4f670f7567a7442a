import type { Homeserver } from "#src/homeserver/homeserver.ts";
import type { RemoteAnswer, Transaction } from "#src/homeserver/remotes.ts";
import type { ServerName } from "#src/kit/identifiers.ts";
import { passedOver, sent, transactions } from "./outbound-metrics.ts";

/** What came of a transaction: the server has it, or why not. */
export type Delivery = { readonly ok: true } | Exclude<RemoteAnswer<never>, { ok: true }>;

type To = { readonly server: ServerName; readonly signal: AbortSignal };

/**
 * Sends a transaction. Should the server refuse it as bad, it is sent piece by piece: what is refused by
 * itself, by a server that takes other pieces, is passed over, or nothing would ever reach that server again.
 *
 * @spec server-server-api#put_matrixfederationv1sendtxnid
 */
export async function sendTransaction(
  hs: Homeserver,
  transaction: Transaction,
  to: To,
): Promise<Delivery> {
  const delivery = await send(hs, transaction, to);
  if (!isRefusedAsBad(delivery)) return delivery;
  const pieces = piecesOf(transaction);
  const once = await sendPieces(hs, pieces, to);
  if (!once.ok) return once;
  // A server that refuses everything is ill, and its refusals mean nothing.
  if (once.refused.length === pieces.length) return delivery;
  // It may have been ill until just now.
  const twice = await sendPieces(hs, once.refused, to);
  if (!twice.ok) return twice;
  const refused = twice.refused.length;
  if (refused === 0) return { ok: true };
  passedOver.inc(refused);
  hs.log.error(
    { destination: to.server, txnId: transaction.txnId, count: refused },
    "a server refuses some of what it is owed: it is passed over",
  );
  return { ok: true };
}

type Refused = { readonly ok: true; readonly refused: readonly Transaction[] };

/** Sends pieces one after the other. @returns those that were refused as bad, or why it was of no use to go on. */
async function sendPieces(
  hs: Homeserver,
  pieces: readonly Transaction[],
  to: To,
): Promise<Refused | (Delivery & { readonly ok: false })> {
  const refused: Transaction[] = [];
  for (const piece of pieces) {
    const delivery = await send(hs, piece, to);
    if (isRefusedAsBad(delivery)) refused.push(piece);
    else if (!delivery.ok) return delivery;
  }
  return { ok: true, refused };
}

async function send(
  hs: Homeserver,
  transaction: Transaction,
  { server, signal }: To,
): Promise<Delivery> {
  const answer = await hs.remotes.sendTransaction(server, transaction, { signal });
  transactions.inc({ outcome: answer.ok ? "taken" : answer.why });
  if (!answer.ok) return answer;
  sent.inc({ kind: "pdu" }, transaction.pdus.length);
  sent.inc({ kind: "edu" }, transaction.edus.length);
  const refused = [...answer.body.pdus].filter(([, it]) => it.error !== undefined);
  if (refused.length > 0) {
    hs.log.debug(
      { destination: server, refused: refused.map(([eventId, { error }]) => ({ eventId, error })) },
      "a server has taken a transaction and not all of its events",
    );
  }
  return { ok: true };
}

/** Whether it may be what was sent that the server does not like. */
export function isRefusedAsBad(delivery: Delivery): boolean {
  if (delivery.ok || delivery.why !== "refused") return false;
  return delivery.status >= 400 && delivery.status < 500 && !NOT_ABOUT_IT.has(delivery.status);
}

/** There is nobody, too slow, too often. */
const NOT_ABOUT_IT: ReadonlySet<number> = new Set([404, 408, 429]);

function piecesOf({ txnId, origin_server_ts, pdus, edus }: Transaction): Transaction[] {
  const pieces = [
    ...pdus.map((it) => ({ pdus: [it], edus: [] })),
    ...edus.map((it) => ({ pdus: [], edus: [it] })),
  ];
  return pieces.map((it, index) => ({ ...it, txnId: `${txnId}-${index}`, origin_server_ts }));
}
