import type { Homeserver } from "#src/homeserver/homeserver.ts";
import type { ServerName } from "#src/kit/identifiers.ts";

/** What a user was told of rooms to which they were invited from outside, or on which they knocked. */
export type ReceivedInvite = {
  readonly roomKey: number;
  readonly eventKey: number;
  /** Stripped state events, as the other server gave them. */
  readonly strippedState: readonly unknown[];
  /** The server that has told us. */
  readonly toldBy: ServerName;
};

type Row = {
  readonly room_key: number;
  readonly event_key: number;
  readonly stripped_state: string;
  readonly told_by: ServerName;
};

/** Those of some rooms of which a user was told from outside, by the rooms' keys. */
export async function receivedInvites(
  hs: Homeserver,
  userKey: number,
  roomKeys: readonly number[],
): Promise<Map<number, ReceivedInvite>> {
  const rows = await hs.sql<Row[]>`
    select room_key, event_key, stripped_state, told_by from received_invites
    where user_key = ${userKey} and room_key = any(${roomKeys}::bigint[])`;
  return new Map(
    rows.map((it) => [
      it.room_key,
      {
        roomKey: it.room_key,
        eventKey: it.event_key,
        strippedState: JSON.parse(it.stripped_state) as unknown[],
        toldBy: it.told_by,
      },
    ]),
  );
}
