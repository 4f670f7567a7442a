import { hash } from "node:crypto";
import { decodeBase64, unpaddedBase64, urlSafeBase64 } from "#src/kit/base64.ts";
import { laxCanonicalJson } from "#src/kit/canonical-json.ts";
import type { EventId, RoomId } from "#src/kit/identifiers.ts";
import type { WireEvent } from "./pdu.ts";
import { redact } from "./redact.ts";
import type { RoomVersionRules } from "./room-versions.ts";

// The lax encoding throughout: for an event that its room version's strict one has let in, both
// give the same text.

/**
 * The hash of the complete event, unpadded Base64: what `hashes.sha256` should be.
 *
 * @throws NotCanonicalError
 * @spec server-server-api#calculating-the-content-hash-for-an-event
 */
export function contentHash(wire: WireEvent): string {
  const { unsigned: _, signatures: __, hashes: ___, ...hashed } = wire;
  return unpaddedBase64(sha256(laxCanonicalJson(hashed)));
}

/**
 * Whether the event has the content that its maker hashed. If not, what we were sent is a redacted
 * copy or a forgery, and only its redaction may be used.
 *
 * @spec server-server-api#validating-hashes-and-signatures-on-received-events
 */
export function checkContentHash(wire: WireEvent): boolean {
  const { hashes } = wire;
  if (typeof hashes !== "object" || hashes === null || Array.isArray(hashes)) return false;
  const { sha256: claimed } = hashes as { readonly sha256?: unknown };
  if (typeof claimed !== "string") return false;
  const { unsigned: _, signatures: __, hashes: ___, ...hashed } = wire;
  return decodeBase64(claimed)?.equals(sha256(laxCanonicalJson(hashed))) ?? false;
}

/**
 * What signatures and the reference hash cover: the redacted event, without its signatures, as
 * Canonical JSON.
 *
 * @throws NotCanonicalError
 * @spec server-server-api#adding-hashes-and-signatures-to-outgoing-events
 */
export function signedTextOf(wire: WireEvent, rules: RoomVersionRules): string {
  const { signatures: _, ...signed } = redact(wire, rules);
  return laxCanonicalJson(signed);
}

/**
 * The hash of the event's essential fields, 32 bytes.
 *
 * @throws NotCanonicalError
 * @spec server-server-api#calculating-the-reference-hash-for-an-event
 */
export function referenceHash(wire: WireEvent, rules: RoomVersionRules): Buffer {
  return sha256(signedTextOf(wire, rules));
}

/**
 * The event's ID: as it says in versions 1 and 2, computed since then.
 *
 * @throws NotCanonicalError
 * @spec rooms/v4#event-ids
 */
export function eventIdOf(wire: WireEvent, rules: RoomVersionRules): EventId {
  if (rules.eventIdFormat === "assigned") return wire["event_id"] as EventId;
  return eventIdOfText(signedTextOf(wire, rules), rules);
}

/** The event's ID, for whoever has its `signedTextOf` already. */
export function eventIdIn(wire: WireEvent, signedText: string, rules: RoomVersionRules): EventId {
  if (rules.eventIdFormat === "assigned") return wire["event_id"] as EventId;
  return eventIdOfText(signedText, rules);
}

/** The event ID that a `signedTextOf` makes, for whoever has that text already. */
export function eventIdOfText(signedText: string, rules: RoomVersionRules): EventId {
  const hashed = sha256(signedText);
  return `$${rules.eventIdFormat === "hash-base64url" ? urlSafeBase64(hashed) : unpaddedBase64(hashed)}`;
}

/** The room that a create event makes. @spec rooms/v12#event-format */
export function roomIdOfCreate(createEventId: EventId): RoomId {
  return `!${createEventId.slice(1)}`;
}

function sha256(text: string): Buffer {
  return hash("sha256", text, "buffer");
}
