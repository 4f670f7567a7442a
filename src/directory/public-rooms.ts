import type { Homeserver } from "#src/homeserver/homeserver.ts";
import { MatrixError } from "#src/kit/matrix-error.ts";
import { rememberRoom } from "#src/rooms/find-room.ts";
import { publishedRooms } from "./queries-published.ts";
import {
  joinedCounts,
  type PublishedRoom,
  type RoomAt,
  type RoomSummary,
  summariesOfRooms,
} from "./room-summary.ts";

/** What of the directory is wanted. */
export type PublicRoomsQuestion = {
  readonly limit: number | undefined;
  readonly since: string | undefined;
  /** In the name, the topic or the canonical alias. */
  readonly searchTerm: string | undefined;
  /** Null for rooms that have no type. Undefined for all. */
  readonly roomTypes: readonly (string | null)[] | undefined;
  /** Of which network, as `networkName` has them; empty for those of none, null for all. */
  readonly network: string | null;
};

/** A page of a directory, as it goes over the wire. */
export type PublicRoomsPage = {
  readonly chunk: readonly PublishedRoom[];
  readonly next_batch?: string;
  readonly prev_batch?: string;
  readonly total_room_count_estimate?: number;
};

const USUAL_LIMIT = 100;
const MOST_LIMIT = 500;

/** A room and its place in the list: those with many members first, then those that are old. */
type Listed = { readonly room: RoomAt; readonly joined: number };

/**
 * A page of this server's directory.
 *
 * @throws MatrixError M_INVALID_PARAM of a token that is none of ours.
 * @spec client-server-api#get_matrixclientv3publicrooms
 */
export async function publicRooms(
  hs: Homeserver,
  { limit, since, ...filter }: PublicRoomsQuestion,
): Promise<PublicRoomsPage> {
  const rooms = await listedRooms(hs, filter);
  // None is as many as we like.
  const size = Math.min(limit === undefined || limit === 0 ? USUAL_LIMIT : limit, MOST_LIMIT);
  const [from, to] = boundsOf(rooms, size, since);
  const page = rooms.slice(from, to);
  const summaries = await summariesOfRooms(
    hs,
    page.map((it) => it.room),
  );
  const [first, last] = [page[0], page.at(-1)];
  return {
    chunk: page.flatMap(({ room }) => {
      const summary = summaries.get(room.roomKey);
      return summary ? [published(summary)] : [];
    }),
    ...(last && to < rooms.length && { next_batch: tokenOf("f", last) }),
    ...(first && from > 0 && { prev_batch: tokenOf("b", first) }),
    total_room_count_estimate: rooms.length,
  };
}

/** All rooms that a filter leaves, in the order of the list. */
async function listedRooms(
  hs: Homeserver,
  { searchTerm, roomTypes, network }: Omit<PublicRoomsQuestion, "limit" | "since">,
): Promise<Listed[]> {
  const all = (await publishedRooms(hs.sql, network)).map((row) => ({
    ...rememberRoom(hs, row),
    root: row.state_root,
  }));
  const counts = await joinedCounts(hs, all);
  const term = searchTerm?.trim().toLowerCase() ?? "";
  const isFiltered = term !== "" || roomTypes !== undefined;
  const summaries = isFiltered ? await summariesOfRooms(hs, all) : new Map<number, RoomSummary>();
  const wanted = all.filter(({ roomKey }) => {
    const summary = summaries.get(roomKey);
    if (!summary) return !isFiltered;
    if (roomTypes && !roomTypes.includes(summary.room_type ?? null)) return false;
    if (term === "") return true;
    const { name, topic, canonical_alias } = summary;
    return [name, topic, canonical_alias].some((it) => it?.toLowerCase().includes(term) ?? false);
  });
  return wanted
    .map((room) => ({ room, joined: counts.get(room.roomKey) ?? 0 }))
    .toSorted((a, b) => b.joined - a.joined || a.room.roomKey - b.room.roomKey);
}

/** What directories do not show of a summary. */
const UNLISTED = new Set(["room_version", "encryption", "allowed_room_ids"]);

function published(summary: RoomSummary): PublishedRoom {
  const shown = Object.entries(summary).filter(([key]) => !UNLISTED.has(key));
  return Object.fromEntries(shown) as unknown as PublishedRoom;
}

/** From which room of the list to which a page goes. */
function boundsOf(
  rooms: readonly Listed[],
  size: number,
  since: string | undefined,
): [number, number] {
  if (since === undefined || since === "") return [0, Math.min(size, rooms.length)];
  const [, direction, joined, roomKey] = /^([fb])(\d{1,15})_(\d{1,15})$/.exec(since) ?? [];
  if (direction === undefined) {
    throw new MatrixError("M_INVALID_PARAM", "since is no token of a list of rooms");
  }
  const place = { joined: Number(joined), roomKey: Number(roomKey) };
  // Rooms move in the list meanwhile: what counts is the place, whoever is there.
  const isBefore = ({ room, joined: its }: Listed) =>
    its > place.joined || (its === place.joined && room.roomKey < place.roomKey);
  const before = rooms.filter(isBefore).length;
  if (direction === "b") return [Math.max(0, before - size), before];
  const isThere = rooms[before]?.room.roomKey === place.roomKey;
  const from = before + (isThere ? 1 : 0);
  return [from, Math.min(from + size, rooms.length)];
}

function tokenOf(direction: "f" | "b", { room, joined }: Listed): string {
  return `${direction}${joined}_${room.roomKey}`;
}
