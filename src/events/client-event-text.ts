import type { EventId } from "#src/kit/identifiers.ts";
import { eachMember } from "#src/kit/member-texts.ts";
import { roomIdOfCreate } from "./event-hash.ts";
import { STICKY } from "./sticky.ts";

/** What of an event clients get as it is. */
const PASSED_ON = new Set(["content", STICKY, "origin_server_ts", "sender", "state_key", "type"]);

/**
 * The text of an event's client form (see `clientEvent`) without its closing brace, cut from the event's own text: what
 * is passed on as it is need not be parsed. Not of a redaction, whose form is another than its own.
 *
 * @param text the event in Canonical JSON, as it is stored.
 */
export function clientEventOpening(
  eventId: EventId,
  text: string,
  { roomId }: { readonly roomId: boolean },
): string {
  const members = [`{"event_id":${JSON.stringify(eventId)}`];
  let isRoomToBeSaid = roomId;
  eachMember(text, (key, start, end) => {
    const isRoom = key === "room_id" && isRoomToBeSaid;
    if (isRoom) isRoomToBeSaid = false;
    if (isRoom || PASSED_ON.has(key)) members.push(text.slice(start, end));
  });
  if (isRoomToBeSaid) members.push(`"room_id":${JSON.stringify(roomIdOfCreate(eventId))}`);
  // Of one piece, unlike a sum of texts, which is taken apart each time that it is put into another.
  return members.join(",");
}
