import type { EventId } from "#src/kit/identifiers.ts";
import type { StoredEvent } from "./stored-event.ts";

/**
 * Under which transaction ID a redaction is stored: the same one may be used for another target, whose
 * path is another.
 *
 * @spec client-server-api#transaction-identifiers
 */
export function redactionTransactionId(target: EventId, txnId: string): string {
  return `redact ${target} ${txnId}`;
}

/** The transaction ID that the client chose for an event. */
export function clientTransactionId({ type, txnId, wire }: StoredEvent): string | undefined {
  if (type !== "m.room.redaction" || txnId === undefined) return txnId;
  const content = wire["content"] as { readonly redacts?: EventId };
  const target = (wire["redacts"] as EventId | undefined) ?? content.redacts;
  const prefix = target === undefined ? "" : redactionTransactionId(target, "");
  return txnId.startsWith(prefix) ? txnId.slice(prefix.length) : txnId;
}
