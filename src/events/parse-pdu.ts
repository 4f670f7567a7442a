import { type CanonicalObject, NotCanonicalError } from "#src/kit/canonical-json.ts";
import type { EventId, RoomId, ServerName, UserId } from "#src/kit/identifiers.ts";
import { isRawLiteral } from "#src/kit/raw-literal.ts";
import { eventIdIn, roomIdOfCreate, signedTextOf } from "./event-hash.ts";
import { fits, isEventId } from "./event-identifiers.ts";
import { checkFormat, type Fault, type FormatOptions } from "./pdu-format.ts";
import type { Pdu, WireEvent } from "./pdu.ts";
import type { RoomVersionRules } from "./room-versions.ts";
import { MAX_EVENT_BYTES } from "./size-limits.ts";
import { wireText } from "./wire-text.ts";

/** An event that has its room version's format, or why what was sent is none. */
export type ParsedPdu =
  | {
      readonly ok: true;
      readonly event: Pdu;
      readonly wire: WireEvent;
      readonly json: string;
      /** What its signatures cover: see `signedTextOf`. */
      readonly signedText: string;
    }
  | ({ readonly ok: false } & Fault);

/**
 * Reads what another server says is an event: the first check on receipt of a PDU. What is refused
 * here is dropped, as if it had never come.
 *
 * `wire` and `json`, its text, are the event without `unsigned`, which the sender could have filled
 * with anything; `event.unsigned` has that as it came.
 *
 * @spec server-server-api#checks-performed-on-receipt-of-a-pdu
 */
export function parsePdu(
  value: unknown,
  rules: RoomVersionRules,
  options: FormatOptions = {},
): ParsedPdu {
  const fault = checkFormat(value, rules, options);
  if (fault) return { ok: false, ...fault };

  const { unsigned, ...wire } = value as CanonicalObject;
  let json: string;
  try {
    json = wireText(wire, rules);
  } catch (error) {
    if (!(error instanceof NotCanonicalError)) throw error;
    return { ok: false, errcode: "M_BAD_JSON", reason: "not canonical JSON" };
  }
  if (!fits(json, MAX_EVENT_BYTES)) {
    return { ok: false, errcode: "M_TOO_LARGE", reason: `over ${MAX_EVENT_BYTES} bytes` };
  }

  const signedText = signedTextOf(wire, rules);
  const event = pduOf(eventIdIn(wire, signedText, rules), wire, rules);
  const withUnsigned = { ...event, unsigned: unsigned as CanonicalObject };
  return { ok: true, event: unsigned === undefined ? event : withUnsigned, wire, json, signedText };
}

/**
 * Reads an event that has been parsed before, such as one from our own store. Nothing is checked,
 * and nothing copied that need not be.
 *
 * @param eventId its ID, which is not computed again.
 */
export function pduOf(eventId: EventId, wire: WireEvent, rules: RoomVersionRules): Pdu {
  const { state_key, origin, unsigned } = wire;
  const redacts = redactsOf(wire, rules);
  const pdu: Writable<Pdu> = {
    event_id: eventId,
    // Only a create event of a room whose ID is made from it has none.
    room_id: (wire["room_id"] as RoomId | undefined) ?? roomIdOfCreate(eventId),
    type: wire["type"] as string,
    sender: wire["sender"] as UserId,
    content: wire["content"] as CanonicalObject,
    auth_events: eventIdsOf(wire["auth_events"], rules),
    prev_events: eventIdsOf(wire["prev_events"], rules),
    depth: safeInteger(wire["depth"]),
    origin_server_ts: safeInteger(wire["origin_server_ts"]),
    hashes: wire["hashes"] as Pdu["hashes"],
    signatures: wire["signatures"] as Pdu["signatures"],
  };
  if (state_key !== undefined) pdu.state_key = state_key as string;
  if (redacts !== undefined) pdu.redacts = redacts;
  if (typeof origin === "string") pdu.origin = origin as ServerName;
  if (unsigned !== undefined) pdu.unsigned = unsigned as CanonicalObject;
  return pdu;
}

type Writable<T> = { -readonly [key in keyof T]: T[key] };

function eventIdsOf(references: unknown, rules: RoomVersionRules): readonly EventId[] {
  if (rules.eventFormat === "ids") return references as EventId[];
  return (references as [EventId, unknown][]).map(([id]) => id);
}

/** What a redaction redacts, from where its room version has it. */
function redactsOf(wire: WireEvent, rules: RoomVersionRules): EventId | undefined {
  if (wire["type"] !== "m.room.redaction") return undefined;
  const { redacts } = rules.redactsInContent ? (wire["content"] as CanonicalObject) : wire;
  return isEventId(redacts) ? redacts : undefined;
}

/** Versions 1 to 5 have integers that JavaScript has not: the nearest that can be counted with. */
function safeInteger(value: unknown): number {
  if (Number.isSafeInteger(value)) return value as number;
  const number = Number(isRawLiteral(value) ? value.rawJSON : value);
  return Math.max(-Number.MAX_SAFE_INTEGER, Math.min(number, Number.MAX_SAFE_INTEGER));
}
