import { buildEvent, type BuiltEvent, type EventDraft } from "#src/events/build-event.ts";
import { referenceHash } from "#src/events/event-hash.ts";
import type { Homeserver } from "#src/homeserver/homeserver.ts";
import { unpaddedBase64 } from "#src/kit/base64.ts";
import { MatrixError } from "#src/kit/matrix-error.ts";
import type { Requester } from "#src/kit/requester.ts";
import { eventLocalpart } from "#src/rooms/event-localpart.ts";
import { eventsOf } from "#src/rooms/find-event.ts";
import type { Room } from "#src/rooms/find-room.ts";
import type { Standing } from "#src/rooms/memberships.ts";
import { storeOutsideMembership } from "#src/rooms/received/outside-membership.ts";
import { bodyOf, throughOneOf } from "./refusals.ts";
import { serversToAsk } from "./servers-to-ask.ts";
import { signTemplate } from "./sign-template.ts";

/** How long a server may take: the user is out of it in any case. */
const TIMEOUT_MS = 10_000;

/**
 * Declines an invitation to a room that this server is not in, or takes back a knock on one. If no server
 * takes it, the user is out all the same, as far as this server is concerned.
 *
 * @param standing what the user is, by what we were told from outside.
 * @spec server-server-api#leaving-rooms-rejecting-invites
 */
export async function leaveOutsideRoom(
  hs: Homeserver,
  requester: Requester,
  { room, standing, draft }: { room: Room; standing: Standing; draft: EventDraft },
): Promise<void> {
  const servers = await serversToAsk(hs, { userKey: requester.userKey, room });
  let left: BuiltEvent;
  try {
    left = await throughOneOf(hs, servers, async (server) => {
      const { roomId } = room;
      const question = { roomId, userId: requester.userId };
      const options = { timeoutMs: TIMEOUT_MS };
      const template = bodyOf(server, await hs.remotes.makeLeave(server, question, options));
      const member = { roomId, sender: requester.userId, draft };
      // Old servers do not say which version the room has; we know it from what we were told before.
      const proposed = { ...template, room_version: room.rules.version };
      const signed = signTemplate(hs, server, proposed, member);
      const eventId = signed.event.event_id;
      const sent = { roomId, eventId, event: signed.wire };
      bodyOf(server, await hs.remotes.sendLeaveV2(server, sent, options));
      return signed;
    });
  } catch (error) {
    if (!(error instanceof MatrixError)) throw error;
    hs.log.info(
      { err: error, roomId: room.roomId },
      "nobody was told that an invitation is declined",
    );
    left = await leaveOfOurs(hs, requester, { room, standing, draft });
  }
  const received = { event: left.event, json: left.json };
  await storeOutsideMembership(hs, { room, received, membership: "leave" });
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
