import { isRawLiteral } from "#src/kit/raw-literal.ts";
import { fits, isEventId, isUserId } from "./event-identifiers.ts";
import type { RoomVersionRules } from "./room-versions.ts";
import {
  MAX_AUTH_EVENTS,
  MAX_EVENT_BYTES,
  MAX_FIELD_BYTES,
  MAX_FIELD_CHARACTERS,
  MAX_PREV_EVENTS,
} from "./size-limits.ts";

/** Why something is no event of its room version. `reason` quotes nothing of it. */
export type Fault = {
  readonly errcode: "M_BAD_JSON" | "M_TOO_LARGE";
  readonly reason: string;
};

type Fields = { readonly [key: string]: unknown };

export type FormatOptions = {
  /**
   * Whether it may name any number of events: as history may, which was made before that was limited.
   *
   * @spec server-server-api#get_matrixfederationv1backfillroomid
   */
  readonly mayNameMany?: true;
};

/**
 * Checks that a value has the fields of an event, each of its type and within its limits.
 *
 * @returns undefined if it has.
 * @spec rooms/v12#event-format
 */
export function checkFormat(
  value: unknown,
  rules: RoomVersionRules,
  { mayNameMany = false }: { readonly mayNameMany?: boolean } = {},
): Fault | undefined {
  if (!isObject(value)) return bad("not an object");
  const [mostAuth, mostPrev] = mayNameMany
    ? [MAX_EVENT_BYTES, MAX_EVENT_BYTES]
    : [MAX_AUTH_EVENTS, MAX_PREV_EVENTS];
  return (
    checkExtent(value) ??
    checkTexts(value, rules) ??
    checkRoomId(value, rules) ??
    checkNumbers(value, rules) ??
    checkObjects(value) ??
    checkEventId(value, rules) ??
    checkReferences(value, "auth_events", rules, mostAuth) ??
    checkReferences(value, "prev_events", rules, mostPrev)
  );
}

function checkTexts(event: Fields, rules: RoomVersionRules): Fault | undefined {
  const { type, sender, state_key } = event;
  if (typeof type !== "string") return bad("type is not a string");
  if (!textFits(type, rules)) return tooLarge("type");
  if (typeof sender !== "string") return bad("sender is not a string");
  if (!fits(sender, MAX_FIELD_BYTES)) return tooLarge("sender");
  if (!isUserId(sender)) return bad("sender is not a user ID");
  if (state_key === undefined) return undefined;
  if (typeof state_key !== "string") return bad("state_key is not a string");
  return textFits(state_key, rules) ? undefined : tooLarge("state_key");
}

function textFits(text: string, { textsLimitedInBytes }: RoomVersionRules): boolean {
  if (fits(text, MAX_FIELD_BYTES)) return true;
  if (textsLimitedInBytes || text.length > 2 * MAX_FIELD_CHARACTERS) return false;
  return Array.from(text).length <= MAX_FIELD_CHARACTERS;
}

function checkRoomId({ room_id, type, state_key }: Fields, rules: RoomVersionRules) {
  // A create event with a room ID, too, is an event here: rule 1.2 rejects it.
  if (room_id === undefined && rules.roomIdIsCreateEventId) {
    if (type === "m.room.create" && state_key === "") return undefined;
  }
  if (typeof room_id !== "string" || !room_id.startsWith("!") || room_id.length < 2) {
    return bad("room_id is not a room ID");
  }
  return fits(room_id, MAX_FIELD_BYTES) ? undefined : tooLarge("room_id");
}

const MAX_INT64 = 2n ** 63n - 1n;

function checkNumbers({ depth, origin_server_ts }: Fields, rules: RoomVersionRules) {
  const max = rules.strictCanonicalJson ? BigInt(Number.MAX_SAFE_INTEGER) : MAX_INT64;
  if (!Number.isSafeInteger(origin_server_ts) && integerOf(origin_server_ts) === undefined) {
    return bad("origin_server_ts is not an integer");
  }
  if (Number.isSafeInteger(depth) && (depth as number) >= 0) return undefined;
  const large = integerOf(depth);
  if (large === undefined) return bad("depth is not an integer");
  return large < 0n || large > max ? bad("depth is out of range") : undefined;
}

/** An integer of any size, also from a raw literal. */
function integerOf(value: unknown): bigint | undefined {
  if (typeof value === "number") return Number.isInteger(value) ? BigInt(value) : undefined;
  if (!isRawLiteral(value) || !/^-?[0-9]{1,40}$/.test(value.rawJSON)) return undefined;
  return BigInt(value.rawJSON);
}

function checkObjects({ content, hashes, signatures, unsigned }: Fields): Fault | undefined {
  if (unsigned !== undefined && !isObject(unsigned)) return bad("unsigned is not an object");
  if (!isObject(content)) return bad("content is not an object");
  if (!isObject(hashes) || typeof hashes["sha256"] !== "string") return bad("hashes has no sha256");
  if (!isObject(signatures)) return bad("signatures is not an object");
  for (const own of Object.values(signatures)) {
    if (!isObject(own) || !Object.values(own).every((text) => typeof text === "string")) {
      return bad("signatures of a server are not an object of strings");
    }
  }
  return undefined;
}

function checkEventId({ event_id }: Fields, rules: RoomVersionRules): Fault | undefined {
  // Computed since version 3. One that came along would be hashed with the rest.
  if (rules.eventIdFormat !== "assigned") {
    return event_id === undefined ? undefined : bad("event_id does not belong in the event");
  }
  if (!isEventId(event_id)) return bad("event_id is not an event ID");
  const colon = event_id.indexOf(":");
  return colon > 0 && colon < event_id.length - 1 ? undefined : bad("event_id has no domain");
}

function checkReferences(
  event: Fields,
  field: "auth_events" | "prev_events",
  rules: RoomVersionRules,
  max: number,
): Fault | undefined {
  const references = event[field];
  if (!Array.isArray(references)) return bad(`${field} is not an array`);
  if (references.length > max) return bad(`${field} has over ${max} entries`);
  for (const reference of references as unknown[]) {
    const id = rules.eventFormat === "ids" ? reference : idOfPair(reference);
    if (!isEventId(id)) return bad(`${field} names no event`);
    // Only where IDs are chosen can an event be its own ancestor.
    if (rules.eventIdFormat === "assigned" && id === event["event_id"]) {
      return bad(`${field} names the event itself`);
    }
  }
  return undefined;
}

function idOfPair(pair: unknown): unknown {
  return Array.isArray(pair) && pair.length === 2 && isObject(pair[1]) ? pair[0] : undefined;
}

/** No value takes less than two bytes, with the comma or bracket beside it. */
const MAX_VALUES = MAX_EVENT_BYTES / 2;

/**
 * Refuses what is surely too large before anything is made of it. Only then is an event's text made
 * and its bytes counted.
 */
function checkExtent(event: Fields): Fault | undefined {
  const { unsigned: _, ...counted } = event;
  const pending: object[] = [counted];
  let values = 0;
  for (let next = pending.pop(); next !== undefined; next = pending.pop()) {
    for (const item of Object.values(next) as unknown[]) {
      values += 1;
      if (typeof item === "object" && item !== null) pending.push(item);
    }
    if (values > MAX_VALUES) return { errcode: "M_TOO_LARGE", reason: "too many values" };
  }
  return undefined;
}

function isObject(value: unknown): value is Fields {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

function bad(reason: string): Fault {
  return { errcode: "M_BAD_JSON", reason };
}

function tooLarge(field: string): Fault {
  return { errcode: "M_TOO_LARGE", reason: `${field} has over ${MAX_FIELD_BYTES} bytes` };
}
