import { isUserId } from "#src/events/event-identifiers.ts";
import type { Pdu } from "#src/events/pdu.ts";
import type { Homeserver } from "#src/homeserver/homeserver.ts";
import { type EventId, serverNameOf, type UserId } from "#src/kit/identifiers.ts";
import { eventsOf } from "#src/rooms/find-event.ts";
import type { Room } from "#src/rooms/find-room.ts";
import { standingOf } from "#src/rooms/memberships.ts";
import { checkPdus } from "#src/rooms/received/check-pdus.ts";
import { storeOutsideMembership } from "#src/rooms/received/outside-membership.ts";
import type { ReceivedEvent } from "#src/rooms/received/received-event.ts";
import type { StoredEvent } from "#src/rooms/stored-event.ts";
import { findUserKeys } from "#src/rooms/user-keys.ts";

/**
 * Takes in what is sent to us of a room that we are not in: that an invitation of one of our users is withdrawn,
 * or a knock of theirs refused. All else of such a room is passed over.
 *
 * We cannot know what the room allows. But whoever ends an invitation names it among the auth events, and its ID
 * is known to nobody but the room and us; and of an invitation it has to be whoever has made it.
 *
 * @returns the IDs of those that were taken.
 * @spec server-server-api#leaving-rooms-rejecting-invites
 */
export async function receiveOutside(
  hs: Homeserver,
  room: Room,
  pdus: readonly unknown[],
): Promise<ReadonlySet<EventId>> {
  const setting = { rules: room.rules, keys: hs.remotes.verifyKeys, now: hs.now() };
  const taken = new Set<EventId>();
  for (const it of await checkPdus(pdus.filter(isAboutMember), setting)) {
    if (it.ok && (await takeEnd(hs, room, it.received))) taken.add(it.received.event.event_id);
  }
  return taken;
}

/** A glance, so that no signature is verified of what is passed over anyway. */
function isAboutMember(pdu: unknown): boolean {
  return (pdu as { type?: unknown } | null)?.type === "m.room.member";
}

async function takeEnd(hs: Homeserver, room: Room, received: ReceivedEvent): Promise<boolean> {
  const { room_id, state_key: user, content } = received.event;
  const { membership } = content;
  if (room_id !== room.roomId || (membership !== "leave" && membership !== "ban")) return false;
  if (!isUserId(user) || serverNameOf(user) !== hs.name) return false;
  const waiting = await memberEventOf(hs, room, user);
  // It has come before.
  if (waiting?.eventId === received.event.event_id) return true;
  if (!waiting || !isEnd(waiting, received.event)) return false;
  const begunAt = waiting.eventKey;
  return (await storeOutsideMembership(hs, { room, received, membership, begunAt })).stored;
}

/** Whether a user has knocked, or is invited by whoever ends it. */
function isEnd(waiting: StoredEvent, { sender, auth_events, state_key: user }: Pdu): boolean {
  if (!WAITING.has(waiting.content["membership"])) return false;
  if (!auth_events.includes(waiting.eventId)) return false;
  return waiting.sender === user || waiting.sender === sender;
}

const WAITING: ReadonlySet<unknown> = new Set(["invite", "knock"]);

/** By which a user of ours has come to be what they are, from outside: by an invitation, or a knock of their own. */
async function memberEventOf(
  hs: Homeserver,
  { roomKey }: Room,
  user: UserId,
): Promise<StoredEvent | undefined> {
  const userKey = (await findUserKeys(hs, [user])).get(user);
  const standing = userKey === undefined ? undefined : await standingOf(hs, userKey, roomKey);
  if (!standing) return undefined;
  return (await eventsOf(hs, [standing.eventKey])).get(standing.eventKey);
}
