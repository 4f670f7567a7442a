import type { Homeserver } from "#src/homeserver/homeserver.ts";

/** What a user was told of rooms to which they were invited from outside, or on which they knocked. */
export type ReceivedInvite = {
  readonly roomKey: number;
  readonly eventKey: number;
  /** Stripped state events, as the other server gave them. */
  readonly strippedState: readonly unknown[];
};

/** Those of some rooms of which a user was told from outside, by the rooms' keys. */
export async function receivedInvites(
  hs: Homeserver,
  userKey: number,
  roomKeys: readonly number[],
): Promise<Map<number, ReceivedInvite>> {
  const rows = await hs.sql<{ room_key: number; event_key: number; stripped_state: string }[]>`
    select room_key, event_key, stripped_state from received_invites
    where user_key = ${userKey} and room_key = any(${roomKeys}::bigint[])`;
  return new Map(
    rows.map((it) => [
      it.room_key,
      {
        roomKey: it.room_key,
        eventKey: it.event_key,
        strippedState: JSON.parse(it.stripped_state) as unknown[],
      },
    ]),
  );
}
