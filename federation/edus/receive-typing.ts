import type { z } from "zod";
import { setTyping } from "#src/ephemeral/set-typing.ts";
import type { Homeserver } from "#src/homeserver/homeserver.ts";
import type { ServerName } from "#src/kit/identifiers.ts";
import { isOf, type TypingContent } from "./edu-schemas.ts";
import { joinedUsers, nameOf } from "./joined-users.ts";

/** Servers say again of who goes on typing that they do, at least as often. */
const TYPING_MS = 60_000;

/** Takes in who types, of users of a server that are joined to the rooms. */
export async function receiveTyping(
  hs: Homeserver,
  origin: ServerName,
  contents: readonly z.infer<typeof TypingContent>[],
): Promise<void> {
  // Of several about one user in a room the last counts.
  const last = new Map(
    contents
      .filter((it) => isOf(origin, it.user_id))
      .map(({ room_id: roomId, user_id: userId, typing }) => {
        const named = { roomId, userId };
        return [nameOf(named), { ...named, typing }];
      }),
  );
  const joined = await joinedUsers(hs, origin, [...last.values()]);
  await Promise.all(
    [...joined].map(async ([name, { room, userKey }]) => {
      const forMs = last.get(name)?.typing ? TYPING_MS : 0;
      await setTyping(hs, { roomKey: room.roomKey, userKey }, forMs);
    }),
  );
}
