import type { Homeserver } from "#src/homeserver/homeserver.ts";
import type { RoomId, UserId } from "#src/kit/identifiers.ts";
import { MatrixError } from "#src/kit/matrix-error.ts";
import type { Requester } from "#src/kit/requester.ts";
import { findUserKeys } from "#src/rooms/user-keys.ts";
import { roomsOfBoth } from "./queries-mutual-rooms.ts";

/** How many rooms are told at once. */
const PAGE = 100;

export type MutualRooms = {
  readonly joined: readonly RoomId[];
  readonly count: number;
  /** Where the next page begins; undefined if there is none. It stays true for ever. */
  readonly next: string | undefined;
};

/**
 * The rooms that a user shares with another, page by page.
 *
 * @throws MatrixError M_INVALID_PARAM if the other is the same, or of a token that is none of ours.
 * @spec client-server-api#mutual-rooms
 */
export async function mutualRooms(
  hs: Homeserver,
  requester: Requester,
  { userId, from }: { readonly userId: UserId; readonly from: string | undefined },
): Promise<MutualRooms> {
  if (userId === requester.userId) {
    throw new MatrixError("M_INVALID_PARAM", "You share all of your rooms with yourself");
  }
  // Some clients send an empty token with the first page: that is none.
  const after = from ? Number(/^m(\d{1,15})$/.exec(from)?.[1] ?? Number.NaN) : 0;
  if (Number.isNaN(after)) throw new MatrixError("M_INVALID_PARAM", "from is no token of ours");
  const userKey = (await findUserKeys(hs, [userId])).get(userId);
  if (userKey === undefined) return { joined: [], count: 0, next: undefined };
  const page = { after, limit: PAGE + 1 };
  const { rooms, count } = await roomsOfBoth(hs.sql, [requester.userKey, userKey], page);
  const told = rooms.slice(0, PAGE);
  const last = rooms.length > PAGE ? told.at(-1) : undefined;
  return {
    joined: told.map((it) => it.room_id),
    count,
    next: last && `m${last.room_key}`,
  };
}
