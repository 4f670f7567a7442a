import type { Homeserver } from "#src/homeserver/homeserver.ts";
import type { CanonicalObject } from "#src/kit/canonical-json.ts";
import type { EventId, UserId } from "#src/kit/identifiers.ts";
import { MatrixError } from "#src/kit/matrix-error.ts";
import type { Requester } from "#src/kit/requester.ts";
import type { Room } from "#src/rooms/find-room.ts";
import { sendEvent } from "#src/rooms/send-event.ts";
import { joinRoom } from "./join-room.ts";
import { withoutAuthoriser } from "./member-draft.ts";

/**
 * Sends a member event that a client has written itself. One by which they come into the room is a
 * join like any other, with the same conditions; one of those who are in it changes their name there.
 *
 * @throws MatrixError what `joinRoom` and `sendEvent` throw.
 * @spec client-server-api#put_matrixclientv3roomsroomidstateeventtypestatekey
 */
export async function setMemberState(
  hs: Homeserver,
  requester: Requester,
  {
    room,
    target,
    content,
  }: { readonly room: Room; readonly target: UserId; readonly content: CanonicalObject },
): Promise<EventId> {
  const own = withoutAuthoriser(content);
  const joins = target === requester.userId && own["membership"] === "join";
  if (joins) {
    const joined = await joinRoom(hs, requester, room.roomId, own);
    if (joined !== undefined) return joined;
  }
  return await sendEvent(hs, {
    sender: requester,
    room,
    draft: { type: "m.room.member", state_key: target, content: own },
    check(making) {
      const current = making.lookup("m.room.member", target)?.content["membership"];
      // Put out of the room since `joinRoom` saw that they are in it.
      if (joins && current !== "join") {
        throw new MatrixError("M_FORBIDDEN", "You are not joined to this room any more");
      }
    },
  });
}
