import { z } from "zod";
import type { Homeserver } from "#src/homeserver/homeserver.ts";
import { cachedByUser } from "#src/streams/cached-by-user.ts";
import { ACCOUNT_DATA, type AccountDataDetail } from "./account-data-stream.ts";
import { NO_ROOM } from "./account-data.ts";
import { accountDataContent } from "./queries-account-data.ts";

const IGNORED_USER_LIST = "m.ignored_user_list";

const IgnoredUserList = z.object({ ignored_users: z.record(z.string(), z.unknown()) });

const NOBODY: ReadonlySet<string> = new Set();

/** Whether a change is of whom its user ignores: then unread counts and timelines are others. */
export function changesIgnoredUsers(change: { stream: string; detail?: unknown }): boolean {
  if (change.stream !== ACCOUNT_DATA) return false;
  return (change.detail as AccountDataDetail).type === IGNORED_USER_LIST;
}

/**
 * The IDs of the users whom a user ignores.
 *
 * @spec client-server-api#ignoring-users
 */
export const ignoredUsersOf: (hs: Homeserver, userKey: number) => Promise<ReadonlySet<string>> =
  cachedByUser({
    most: 50_000,
    forgottenBy: changesIgnoredUsers,
    async load(hs, userKey) {
      const key = { userKey, roomKey: NO_ROOM, type: IGNORED_USER_LIST };
      const content = await accountDataContent(hs.sql, key);
      if (content === undefined) return NOBODY;
      const list = IgnoredUserList.safeParse(JSON.parse(content)).data;
      const users = Object.keys(list?.ignored_users ?? {});
      return users.length > 0 ? new Set(users) : NOBODY;
    },
  });
