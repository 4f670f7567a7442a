import { unwantedInvitations } from "#src/account-data/unwanted-invitations.ts";
import type { Homeserver } from "#src/homeserver/homeserver.ts";
import type { Position } from "#src/homeserver/position.ts";
import type { Requester } from "#src/kit/requester.ts";
import { lastPositionsOf } from "#src/rooms/last-positions.ts";
import { forgottenRooms, type Standing } from "#src/rooms/memberships.ts";
import type { UserRooms } from "#src/rooms/user-rooms.ts";
import { readDepartures } from "./departures.ts";

/** A room that a client may be told of. */
export type ListedRoom = {
  readonly roomKey: number;
  readonly standing: Standing;
  /** When something has happened in it last that the user is told of. */
  readonly activity: Position;
};

/**
 * The rooms that a client may be told of, those first in which something has happened last. Of those that the user is
 * out of they are only those from which somebody else has put them, and those that the client has been told of.
 *
 * @param isTold whether a room is one of the latter.
 * MSC4186: the rules of the list that the server keeps.
 */
export async function listedRooms(
  hs: Homeserver,
  { userKey }: Requester,
  rooms: UserRooms,
  { isTold }: { isTold: (roomKey: number) => boolean },
): Promise<ListedRoom[]> {
  const joined: number[] = [];
  const out: [number, Standing][] = [];
  const listed: ListedRoom[] = [];
  for (const [roomKey, standing] of rooms) {
    const { membership, position } = standing;
    if (membership === "join") joined.push(roomKey);
    else if (membership === "leave" || membership === "ban") out.push([roomKey, standing]);
    else listed.push({ roomKey, standing, activity: position });
  }
  const [positions, left] = await Promise.all([
    lastPositionsOf(hs, joined),
    listedOut(hs, userKey, out, isTold),
  ]);
  for (const roomKey of joined) {
    const standing = rooms.get(roomKey);
    if (!standing) continue;
    const activity = Math.max(positions.get(roomKey) ?? 0, standing.position);
    listed.push({ roomKey, standing, activity });
  }
  listed.push(...left);
  const shown = await withoutUnwanted(hs, userKey, listed);
  return shown.sort((a, b) => b.activity - a.activity || b.roomKey - a.roomKey);
}

async function listedOut(
  hs: Homeserver,
  userKey: number,
  rooms: readonly [number, Standing][],
  isTold: (roomKey: number) => boolean,
): Promise<ListedRoom[]> {
  if (rooms.length === 0) return [];
  const departures = await readDepartures(
    hs,
    rooms.map(([, it]) => it),
  );
  const shown = rooms.filter(([roomKey, { eventKey }]) => {
    const departure = departures.get(eventKey);
    return isTold(roomKey) || (departure?.leftAt !== undefined && departure.byOthers);
  });
  if (shown.length === 0) return [];
  const forgotten = await forgottenRooms(hs, userKey);
  return shown
    .filter(([roomKey]) => !forgotten.has(roomKey))
    .map(([roomKey, standing]) => ({ roomKey, standing, activity: standing.position }));
}

async function withoutUnwanted(
  hs: Homeserver,
  userKey: number,
  rooms: ListedRoom[],
): Promise<ListedRoom[]> {
  const invitations = rooms.filter((it) => it.standing.membership === "invite");
  const keys = invitations.map((it) => it.standing.eventKey);
  const unwanted = await unwantedInvitations(hs, userKey, keys);
  return unwanted.size === 0
    ? rooms
    : rooms.filter(({ standing }) => !unwanted.has(standing.eventKey));
}
