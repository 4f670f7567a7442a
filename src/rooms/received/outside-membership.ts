import type { Tx } from "#src/homeserver/database.ts";
import type { Homeserver } from "#src/homeserver/homeserver.ts";
import type { UserId } from "#src/kit/identifiers.ts";
import type { Outcome, Placed, Stream } from "#src/streams/stream.ts";
import { write } from "#src/streams/write.ts";
import { EVENTS, memberChange } from "../event-changes.ts";
import type { Room } from "../find-room.ts";
import type { Membership } from "../memberships.ts";
import { eventsByIds } from "../queries-events.ts";
import { insertEvents, upsertMemberships } from "../queries-persist.ts";
import { forgetHead } from "../room-head.ts";
import { type EventRow, EventStatus } from "../stored-event.ts";
import { otherServerOf, userKeysOf } from "../user-keys.ts";
import {
  type InRoom,
  invitationsOf,
  residentRooms,
  storeInvites,
  type ToldOfRoom,
  touchRooms,
} from "./queries-outside.ts";
import type { ReceivedEvent } from "./received-event.ts";

/** A change of what a local user is in a room that this server is not in. */
export type OutsideMembership = {
  readonly room: Room;
  /** The member event, which nobody here can judge: its signatures are all that is known of it. */
  readonly received: ReceivedEvent;
  readonly membership: Exclude<Membership, "join">;
  /** What we are told of the room, for an invitation or a knock. */
  readonly told?: ToldOfRoom;
  /**
   * Of what a user of ours does: by which member event they were what they were when it was begun, null if by none. That
   * takes its time, and an invitation that has come since stays.
   */
  readonly begunAt?: number | null;
};

type OutsideWrite = OutsideMembership & { readonly senderKey: number; readonly userKey: number };

/**
 * Whether it was stored: it is not if this server is in the room, whose own state says who is what, if the user has been
 * invited meanwhile, or if the event has the ID of another.
 */
export type OutsideWritten = { readonly stored: boolean };

/**
 * Records what a local user is in a room that this server is not in: invited, knocking, or out again.
 *
 * @spec server-server-api#inviting-to-a-room
 * @spec server-server-api#knocking-upon-a-room-knocking-rooms
 * @spec server-server-api#leaving-rooms-rejecting-invites
 */
export async function storeOutsideMembership(
  hs: Homeserver,
  it: OutsideMembership,
): Promise<OutsideWritten> {
  const { sender, state_key } = it.received.event;
  const user = state_key as UserId;
  const keys = await userKeysOf(hs, [sender, user]);
  const [senderKey, userKey] = [keys.get(sender), keys.get(user)];
  if (senderKey === undefined || userKey === undefined) throw new Error("a user was given no key");
  return await write(hs, outsideStream, { ...it, senderKey, userKey });
}

/** What happens to local users in rooms that this server is not in. Others hear of it by the stream of events. */
const outsideStream: Stream<OutsideWrite, OutsideWritten> = {
  name: EVENTS,
  // The event's key, and the position at which the standing changes: so it is seen not to be news of the room.
  positionsFor: () => 2,

  async store(hs, lane, placed) {
    const known = await eventsByIds(
      lane,
      placed.map((it) => it.write.received.event.event_id),
    );
    const others = new Map(known.map((it) => [it.event_id, it]));
    const keys = new Map(known.map((it) => [it.event_id, it.event_key]));
    const resident = await residentRooms(
      lane,
      placed.map((it) => it.write.room.roomKey),
    );
    const invitations = new Map(
      (await invitationsOf(lane, placed.map(nameOf))).map((it) => [keyOf(it), it.eventKey]),
    );
    const wanted = placed.filter((own) => {
      const { room, received, membership, begunAt } = own.write;
      const { event_id } = received.event;
      if (resident.has(room.roomKey) || isAnother(others.get(event_id), own.write)) return false;
      const key = keyOf(nameOf(own));
      const invitation = invitations.get(key);
      const isInvitedSince = invitation !== undefined && invitation !== begunAt;
      if (begunAt !== undefined && isInvitedSince) return false;
      if (membership === "invite") invitations.set(key, keys.get(event_id) ?? own.position);
      else invitations.delete(key);
      return true;
    });
    const rows: EventRow[] = [];
    for (const it of wanted) {
      const { event_id } = it.write.received.event;
      if (keys.has(event_id)) continue;
      keys.set(event_id, it.position);
      rows.push(rowOf(it));
    }
    const its = wanted.map((it) => membershipOf(hs, it, keys));
    if (rows.length > 0) insertEvents(lane, rows);
    storeAll(lane, its, wanted);
    return placed.map((it): Outcome<OutsideWritten> => {
      const own = its[wanted.indexOf(it)];
      return {
        ok: true,
        result: { stored: own !== undefined },
        changes: own ? [memberChange(own)] : [],
      };
    });
  },

  committed(hs, placed) {
    for (const { write: it } of placed) forgetHead(hs, it.room.roomKey);
  },

  changesBetween: async () => [],
};

/** Whether what is stored under an event's ID is another: versions 1 and 2 let whoever sends an event name it. */
function isAnother(
  stored: EventRow | undefined,
  { room, received: { event } }: OutsideWrite,
): boolean {
  if (!stored) return false;
  return (
    stored.room_key !== room.roomKey ||
    stored.type !== event.type ||
    stored.state_key !== event.state_key
  );
}

function nameOf({ write: { userKey, room } }: Placed<OutsideWrite>): InRoom {
  return { userKey, roomKey: room.roomKey };
}

function keyOf({ userKey, roomKey }: InRoom): string {
  return `${userKey} ${roomKey}`;
}

type OwnMembership = ReturnType<typeof membershipOf>;

function storeAll(
  lane: Tx,
  its: readonly OwnMembership[],
  wanted: readonly Placed<OutsideWrite>[],
): void {
  if (its.length === 0) return;
  // Of several changes of one user in one room the last counts.
  const last = new Map(its.map((it) => [keyOf(it), it]));
  upsertMemberships(lane, [...last.values()]);
  storeInvites(
    lane,
    [...last.values()].map((it) => ({
      ...it,
      told: wanted[its.indexOf(it)]?.write.told,
    })),
  );
  touchRooms(lane, [...new Set(its.map((it) => it.roomKey))]);
}

function membershipOf(
  hs: Homeserver,
  { write: { room, received, membership, userKey }, position }: Placed<OutsideWrite>,
  keys: ReadonlyMap<string, number>,
) {
  return {
    userKey,
    roomKey: room.roomKey,
    membership,
    eventKey: keys.get(received.event.event_id) ?? position,
    position: position + 1,
    server: otherServerOf(hs, received.event.state_key as UserId),
  };
}

function rowOf({ write: { room, received, senderKey }, position }: Placed<OutsideWrite>): EventRow {
  const { event, json } = received;
  return {
    event_key: position,
    room_key: room.roomKey,
    event_id: event.event_id,
    type: event.type,
    state_key: event.state_key ?? null,
    sender_key: senderKey,
    sender: event.sender,
    depth: event.depth,
    origin_server_ts: event.origin_server_ts,
    status: EventStatus.outlier,
    anchor: null,
    anchor_offset: 0,
    state_before: null,
    state_after: null,
    room_state: null,
    ordinal: 0,
    replaces: null,
    redacted_by: null,
    auth_keys: null,
    device_key: null,
    txn_id: null,
    json,
  };
}
