import type { Homeserver } from "#src/homeserver/homeserver.ts";
import type { Position } from "#src/homeserver/position.ts";
import { type EphemeralEvent, receiptEvent, typingEvent } from "./ephemeral-events.ts";
import { receiptsBetween } from "./queries-receipts.ts";
import { typingBetween } from "./queries-typing.ts";
import type { Receipt } from "./receipt.ts";
import { typingRoomsOf } from "./typing-rooms.ts";

/** What is new of receipts and typing in a range of positions, by the rooms it is in. */
export type EphemeralNews = {
  readonly receipts: ReadonlyMap<number, readonly Receipt[]>;
  /** The rooms in which others type than did. */
  readonly typing: ReadonlySet<number>;
};

/** What has become of receipts and typing in a range of positions, as far as it still stands. */
export async function ephemeralBetween(
  hs: Homeserver,
  after: Position,
  upTo: Position,
): Promise<EphemeralNews> {
  const [receipts, typing] = await Promise.all([
    receiptsBetween(hs.sql, after, upTo),
    typingBetween(hs.sql, after, upTo),
  ]);
  const changed = typing.filter((it) => it.newsPosition > after);
  return {
    receipts: Map.groupBy(receipts, (it) => it.roomKey),
    typing: new Set(changed.map((it) => it.roomKey)),
  };
}

/**
 * What one who may see some of it is told.
 *
 * @param sees whether they may know of a private receipt of a user.
 */
export async function ephemeralEvents(
  hs: Homeserver,
  { receipts, typing }: EphemeralNews,
  { roomKeys, sees }: { roomKeys: ReadonlySet<number>; sees: (userId: string) => boolean },
): Promise<readonly (EphemeralEvent & { readonly roomKey: number })[]> {
  const told: (EphemeralEvent & { roomKey: number })[] = [];
  for (const [roomKey, all] of receipts) {
    const its = all.filter((it) => it.type === "m.read" || sees(it.userId));
    if (roomKeys.has(roomKey) && its.length > 0) told.push({ ...receiptEvent(its), roomKey });
  }
  for (const roomKey of typing) {
    if (!roomKeys.has(roomKey)) continue;
    const userKeys = await typingRoomsOf(hs).typingIn(roomKey);
    told.push({ ...(await typingEvent(hs, userKeys)), roomKey });
  }
  return told;
}
