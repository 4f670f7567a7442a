import { isDeepStrictEqual } from "node:util";
import { requireInvitable } from "#src/account-data/require-invitable.ts";
import type { EventDraft } from "#src/events/build-event.ts";
import type { Homeserver } from "#src/homeserver/homeserver.ts";
import type { CanonicalObject } from "#src/kit/canonical-json.ts";
import { type EventId, serverNameOf, type UserId } from "#src/kit/identifiers.ts";
import { MatrixError } from "#src/kit/matrix-error.ts";
import type { Requester } from "#src/kit/requester.ts";
import { stateEvent } from "#src/rooms/current-state.ts";
import type { Room } from "#src/rooms/find-room.ts";
import type { MassagedTime } from "#src/rooms/massaged-time.ts";
import { membersKnown } from "#src/rooms/partial/partial-rooms.ts";
import { sendEvent } from "#src/rooms/send-event.ts";
import { joinRoom } from "./join-room.ts";
import { withoutAuthoriser } from "./member-draft.ts";
import { inviteOutsideUser } from "./outside/invite-outside-user.ts";

/**
 * Sends a member event that a client has written itself. One by which they come into the room is a
 * join like any other, with the same conditions; one of those who are in it changes their name there. One by
 * which they invite a user of another server goes to that server first.
 *
 * @throws MatrixError what `joinRoom`, `inviteOutsideUser`, `requireInvitable` and `sendEvent` throw.
 * @spec client-server-api#put_matrixclientv3roomsroomidstateeventtypestatekey
 */
export async function setMemberState(
  hs: Homeserver,
  requester: Requester,
  {
    room,
    target,
    content,
    time,
  }: {
    readonly room: Room;
    readonly target: UserId;
    readonly content: CanonicalObject;
    readonly time: MassagedTime;
  },
): Promise<EventId> {
  const own = withoutAuthoriser(content);
  const joins = target === requester.userId && own["membership"] === "join";
  if (joins) {
    const joined = await joinRoom(hs, requester, room.roomId, { content: own, time });
    if (joined !== undefined) return joined;
  }
  const draft = { type: "m.room.member", state_key: target, content: own, ...time };
  if (own["membership"] === "invite" && serverNameOf(target) !== hs.name) {
    return await inviteFromOutside(hs, requester.userId, { room, draft });
  }
  if (own["membership"] === "invite") await requireInvitable(hs, requester.userId, [target]);
  return await sendEvent(hs, {
    sender: requester,
    room,
    draft,
    check(making) {
      const current = making.lookup("m.room.member", target)?.content["membership"];
      // Put out of the room since `joinRoom` saw that they are in it.
      if (joins && current !== "join") {
        throw new MatrixError("M_FORBIDDEN", "You are not joined to this room any more");
      }
    },
  });
}

/** An invitation that stands already is not made again. */
async function inviteFromOutside(
  hs: Homeserver,
  sender: UserId,
  { room, draft }: { readonly room: Room; readonly draft: EventDraft & { state_key: string } },
): Promise<EventId> {
  await membersKnown(hs, room.roomKey);
  const current = await stateEvent(hs, room.roomKey, draft.type, draft.state_key);
  const stands = current?.sender === sender && current.redactedBy === undefined;
  if (stands && isDeepStrictEqual(current.content, draft.content)) return current.eventId;
  return await inviteOutsideUser(hs, { room, sender, draft });
}
