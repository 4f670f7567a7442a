import type { RoomSummary } from "#src/directory/room-summary.ts";
import type { Homeserver } from "#src/homeserver/homeserver.ts";
import type { RoomId, ServerName } from "#src/kit/identifiers.ts";
import { statesDenying } from "#src/rooms/server-acls.ts";
import { membershipsIn, roomsOfServer } from "./queries-spaces.ts";
import type { RoomHere } from "./spaces-here.ts";

/** Of which rooms somebody may be told: those that they are in, or could come into or look into. */
export type Sight = (summary: RoomSummary) => boolean;

/**
 * Of which of some rooms a user may be told.
 *
 * @spec client-server-api#get_matrixclientv1roomsroomidhierarchy
 */
export async function sightOfUser(
  hs: Homeserver,
  userKey: number,
  summaries: readonly RoomSummary[],
): Promise<Sight> {
  const rows = await membershipsIn(hs.sql, userKey, namedIn(summaries));
  const memberships = new Map(rows.map((it) => [it.room_id, it.membership]));
  const isIn = (roomId: RoomId) => memberships.get(roomId) === "join";
  return (summary) =>
    isOpen(summary) ||
    isIn(summary.room_id) ||
    memberships.get(summary.room_id) === "invite" ||
    (summary.allowed_room_ids?.some(isIn) ?? false);
}

/**
 * Of which of some rooms that we are in another server may be told: those of which some user of its could
 * be told.
 *
 * @spec server-server-api#get_matrixfederationv1hierarchyroomid
 */
export async function sightOfServer(
  hs: Homeserver,
  server: ServerName,
  rooms: readonly RoomHere[],
): Promise<Sight> {
  const ids = namedIn(rooms.map((it) => it.summary));
  const [rows, denying] = await Promise.all([
    roomsOfServer(hs.sql, server, ids),
    statesDenying(
      hs,
      rooms.map((it) => it.root),
      server,
    ),
  ]);
  const denied = new Set(
    rooms.filter((it) => denying.has(it.root)).map((it) => it.summary.room_id),
  );
  const joined = new Set(rows.filter((it) => it.membership === "join").map((it) => it.room_id));
  const known = new Set(rows.map((it) => it.room_id));
  return (summary) =>
    !denied.has(summary.room_id) &&
    (isOpen(summary) ||
      known.has(summary.room_id) ||
      (summary.allowed_room_ids?.some((it) => joined.has(it)) ?? false));
}

const FOR_ALL = new Set(["public", "knock", "knock_restricted"]);

/** Whether anybody may come into a room, ask to, or look into it. */
export function isOpen({ world_readable, join_rule = "public" }: RoomSummary): boolean {
  return world_readable || FOR_ALL.has(join_rule);
}

function namedIn(summaries: readonly RoomSummary[]): RoomId[] {
  return [...new Set(summaries.flatMap((it) => [it.room_id, ...(it.allowed_room_ids ?? [])]))];
}
