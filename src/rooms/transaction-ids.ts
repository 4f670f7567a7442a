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

const DELAYED = "delayed ";

/** Under which transaction ID something is stored that was to be sent later: so it is sent once, and says what it was. */
export function delayedTransactionId(delayId: string): string {
  return `${DELAYED}${delayId}`;
}

/** Which delayed event was sent as an event, if one. */
export function delayIdOf({ txnId }: StoredEvent): string | undefined {
  return txnId?.startsWith(DELAYED) ? txnId.slice(DELAYED.length) : undefined;
}

/** The transaction ID that the client chose for an event. */
export function clientTransactionId(event: StoredEvent): string | undefined {
  const { type, txnId, wire } = event;
  if (delayIdOf(event) !== undefined) return undefined;
  if (type !== "m.room.redaction" || txnId === undefined) return txnId;
  const content = wire["content"] as { readonly redacts?: EventId };
  const target = (wire["redacts"] as EventId | undefined) ?? content.redacts;
  const prefix = target === undefined ? "" : redactionTransactionId(target, "");
  return txnId.startsWith(prefix) ? txnId.slice(prefix.length) : txnId;
}
