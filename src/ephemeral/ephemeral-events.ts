import type { Homeserver } from "#src/homeserver/homeserver.ts";
import { groupToObject } from "#src/kit/group-to-object.ts";
import { WHOLE_ROOM } from "#src/rooms/room-reads.ts";
import { userIdsOf } from "#src/rooms/user-keys.ts";
import type { Receipt } from "./receipt.ts";

/** As it goes over the wire. */
export type EphemeralEvent = { readonly type: string; readonly content: object };

/** The receipts of a room. @spec client-server-api#receipts */
export function receiptEvent(receipts: readonly Receipt[]): EphemeralEvent {
  const byUser = (group: readonly Receipt[]) => groupToObject(group, (it) => it.userId, receiptOf);
  const byType = (group: readonly Receipt[]) => groupToObject(group, (it) => it.type, byUser);
  return { type: "m.receipt", content: groupToObject(receipts, (it) => it.eventId, byType) };
}

/** Of several of one user at one event, that for the room with all its threads says the most (MSC4102). */
function receiptOf(group: readonly [Receipt, ...Receipt[]]): object {
  const { ts, thread } = group.find((it) => it.thread === WHOLE_ROOM) ?? group[0];
  return { ts, ...(thread !== WHOLE_ROOM && { thread_id: thread }) };
}

/** Who types in a room. @spec client-server-api#typing-notifications */
export async function typingEvent(
  hs: Homeserver,
  userKeys: readonly number[],
): Promise<EphemeralEvent> {
  const userIds = await userIdsOf(hs, userKeys);
  const user_ids = userKeys.flatMap((it) => userIds.get(it) ?? []);
  return { type: "m.typing", content: { user_ids } };
}
