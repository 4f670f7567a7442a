import { buildEvent, type BuiltEvent, type EventDraft } from "#src/events/build-event.ts";
import { referenceHash } from "#src/events/event-hash.ts";
import type { Homeserver } from "#src/homeserver/homeserver.ts";
import { unpaddedBase64 } from "#src/kit/base64.ts";
import type { Requester } from "#src/kit/requester.ts";
import { eventLocalpart } from "#src/rooms/event-localpart.ts";
import { eventsOf } from "#src/rooms/find-event.ts";
import type { Room } from "#src/rooms/find-room.ts";
import type { Standing } from "#src/rooms/memberships.ts";
import { storeOutsideMembership } from "#src/rooms/received/outside-membership.ts";
import { serversToAsk } from "./servers-to-ask.ts";
import { tellLeave } from "./tell-leave.ts";

/**
 * Declines an invitation to a room that this server is not in, or takes back a knock on one. If no server
 * takes it now, the user is out all the same, as far as this server is concerned.
 *
 * @param standing what the user is, by what we were told from outside.
 * @spec server-server-api#leaving-rooms-rejecting-invites
 */
export async function leaveOutsideRoom(
  hs: Homeserver,
  requester: Requester,
  { room, standing, draft }: { room: Room; standing: Standing; draft: EventDraft },
): Promise<void> {
  const { userId, userKey } = requester;
  const { first: servers } = await serversToAsk(hs, { userKey, room });
  const { reason } = draft.content;
  const told = await tellLeave(hs, {
    userId,
    roomId: room.roomId,
    servers,
    reason: typeof reason === "string" ? reason : null,
    eventKey: null,
  });
  const left = told.left ?? (await leaveOfOurs(hs, requester, { room, standing, draft }));
  const received = { event: left.event, json: left.json };
  const begunAt = standing.eventKey;
  await storeOutsideMembership(hs, { room, received, membership: "leave", begunAt });
}

/** A leave that no other server has seen: it follows nothing but what the user was before. */
async function leaveOfOurs(
  hs: Homeserver,
  { userId }: Requester,
  { room, standing, draft }: { room: Room; standing: Standing; draft: EventDraft },
): Promise<BuiltEvent> {
  const { rules, roomId } = room;
  const before = (await eventsOf(hs, [standing.eventKey])).get(standing.eventKey);
  if (!before) throw new Error("a member event that a membership names is not stored");
  const hash = unpaddedBase64(referenceHash(before.wire, rules));
  return buildEvent(draft, {
    sender: userId,
    roomId,
    rules,
    prevEvents: [before.eventId],
    authEvents: [before.eventId],
    referenceHashes: new Map([[before.eventId, hash]]),
    depth: before.depth + 1,
    now: hs.now(),
    server: hs.name,
    signingKey: hs.signingKey,
    ...(rules.eventIdFormat === "assigned" && { eventIdLocalpart: eventLocalpart() }),
  });
}
