import type { z } from "zod";
import { recordReceipts } from "#src/ephemeral/record-receipts.ts";
import type { Homeserver } from "#src/homeserver/homeserver.ts";
import { type RoomId, type ServerName, type UserId } from "#src/kit/identifiers.ts";
import { ARoomId, AUserId } from "../client/answer-schemas.ts";
import { isOf, type ReceiptContent } from "./edu-schemas.ts";
import { joinedUsers, type Named, nameOf } from "./joined-users.ts";

/**
 * The most receipts of a transaction that are taken in: each is a write, and whoever sends a message waits for those before
 * it. Servers collect them, but not so many; what is passed over, the user's next receipt says.
 */
const MOST_SAID = 2_000;

type Contents = readonly z.infer<typeof ReceiptContent>[];

/** How far a user says to have read, of those that are well formed. */
type Said = Named & {
  readonly receipt: NonNullable<ReturnType<typeof readsOf>[number][1]>;
};

/**
 * Takes in how far users of a server have read the rooms that they are joined to.
 *
 * @spec server-server-api#receipts
 */
export async function receiveReceipts(
  hs: Homeserver,
  origin: ServerName,
  contents: Contents,
): Promise<void> {
  const all = contents.flatMap((it) => [...it]).flatMap((it) => saidIn(origin, it));
  const said = all.slice(0, MOST_SAID);
  const joined = await joinedUsers(hs, origin, said);
  await recordReceipts(
    hs,
    said.flatMap(({ receipt, ...named }) => {
      const user = joined.get(nameOf(named));
      if (!user) return [];
      const { event_ids: eventIds, data } = receipt;
      const { ts, thread_id: thread } = data;
      return [{ ...user, userId: named.userId, eventIds, ts: ts ?? hs.now(), thread }];
    }),
  );
}

type RoomReceipts = Contents[number] extends ReadonlyMap<string, infer Room> ? Room : never;

function readsOf(room: RoomReceipts) {
  return [...(room?.["m.read"] ?? [])];
}

function saidIn(origin: ServerName, [roomId, room]: readonly [string, RoomReceipts]): Said[] {
  if (!ARoomId.safeParse(roomId).success) return [];
  return readsOf(room).flatMap(([userId, receipt]) => {
    if (!receipt || !AUserId.safeParse(userId).success) return [];
    const named = { roomId: roomId as RoomId, userId: userId as UserId };
    return isOf(origin, named.userId) ? [{ ...named, receipt }] : [];
  });
}
