import type { Homeserver } from "#src/homeserver/homeserver.ts";
import { cachedByUser } from "#src/streams/cached-by-user.ts";
import { ACCOUNT_DATA, type AccountDataDetail } from "./account-data-stream.ts";
import { accountDataOfType } from "./queries-account-data.ts";
import { TAG, tagsIn } from "./tags.ts";

/**
 * The tags that a user has put on rooms, by room key.
 *
 * @spec client-server-api#room-tagging
 */
export const taggedRoomsOf: (
  hs: Homeserver,
  userKey: number,
) => Promise<ReadonlyMap<number, ReadonlySet<string>>> = cachedByUser({
  most: 10_000,
  forgottenBy: ({ stream, detail }) =>
    stream === ACCOUNT_DATA && (detail as AccountDataDetail).type === TAG,
  async load(hs, userKey) {
    const rows = await accountDataOfType(hs.sql, userKey, TAG);
    return new Map(
      rows.map(({ roomKey, content }) => [
        roomKey,
        new Set(Object.keys(tagsIn(JSON.parse(content)))),
      ]),
    );
  },
});
