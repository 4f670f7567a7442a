import { serverNameOf } from "#src/kit/identifiers.ts";
import { isServerName } from "#src/kit/server-name.ts";
import { roomIdOfCreate } from "../event-hash.ts";
import { isUserId } from "../event-identifiers.ts";
import type { Pdu } from "../pdu.ts";
import { ROOM_VERSIONS, type RoomVersionRules } from "../room-versions.ts";
import { allow, reject, type Verdict } from "./verdict.ts";

/**
 * Rule 1: an `m.room.create` event.
 *
 * @spec rooms/v12#authorisation-rules 1
 */
export function checkCreate(event: Pdu, rules: RoomVersionRules): Verdict {
  const { room_version, additional_creators } = event.content;

  // 1.1 If it has any prev_events, reject.
  if (event.prev_events.length > 0) return reject("1.1", "a create event has no prev_events");

  if (rules.roomIdIsCreateEventId) {
    // 1.2 (since v12) If the event has a room_id, reject. (One of its own could not be that of its
    //     hash, which is what an event without one is read with.)
    if (event.room_id !== roomIdOfCreate(event.event_id)) {
      return reject("1.2", "a create event has no room_id");
    }
  } else if (domainOf(event.room_id) !== serverNameOf(event.sender)) {
    // v11:1.2 (until v11) If the domain of the room_id does not match that of the sender, reject.
    return reject("v11:1.2", "room_id is not of the sender's domain");
  }

  // 1.3 If content.room_version is present and is not a recognised version, reject.
  if (room_version !== undefined) {
    if (typeof room_version !== "string" || !ROOM_VERSIONS.has(room_version)) {
      return reject("1.3", "room_version is not recognised");
    }
  }

  // v10:1.4 (until v10) If content has no creator property, reject.
  if (rules.creatorInCreateContent && !Object.hasOwn(event.content, "creator")) {
    return reject("v10:1.4", "no creator");
  }

  // 1.4 (since v12) If additional_creators is present and is not an array of user IDs, reject. (Names
  //     of servers included: a sender whose server has no possible name could not have signed.)
  if (rules.privilegedCreators && additional_creators !== undefined) {
    if (!Array.isArray(additional_creators) || !additional_creators.every(isCreatorId)) {
      return reject("1.4", "additional_creators are not user IDs");
    }
  }

  // 1.5 Otherwise, allow.
  return allow("1.5");
}

function isCreatorId(value: unknown): boolean {
  return isUserId(value) && isServerName(serverNameOf(value));
}

/** The domain of a room ID, which has one in the room versions that ask. */
function domainOf(roomId: string): string | undefined {
  const colon = roomId.indexOf(":");
  return colon < 0 ? undefined : roomId.slice(colon + 1);
}
