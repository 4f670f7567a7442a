import type { Homeserver } from "#src/homeserver/homeserver.ts";

/** The room in which a user is told what the server has to say, if there is one. */
export async function noticeRoomOf(hs: Homeserver, userKey: number): Promise<number | undefined> {
  const [row] = await hs.sql<{ room_key: number }[]>`
    select room_key from notice_rooms where user_key = ${userKey}`;
  return row?.room_key;
}

/**
 * Makes a room the one of a user, unless there is one.
 *
 * @returns the one that it is now.
 */
export async function claimNoticeRoom(
  hs: Homeserver,
  userKey: number,
  roomKey: number,
): Promise<number> {
  await hs.sql`
    insert into notice_rooms (user_key, room_key) values (${userKey}, ${roomKey})
    on conflict do nothing`;
  return (await noticeRoomOf(hs, userKey)) ?? roomKey;
}
