import type { Appservice } from "#src/config/appservice.ts";
import { includes } from "#src/config/registered-appservices.ts";
import type { Homeserver } from "#src/homeserver/homeserver.ts";
import type { RoomAlias, UserId } from "#src/kit/identifiers.ts";
import { askAppservice } from "./ask-appservice.ts";
import { registeredAmong } from "./queries-registered.ts";

/** How long an application service may take to make what it is asked for: somebody waits. */
const TIMEOUT_MS = 30_000;

/**
 * Asks the application services that look after a user who is not registered: one may know them, and then has made
 * their account when it answers.
 *
 * @returns whether one does.
 * @spec application-service-api#querying
 */
export async function queryUser(hs: Homeserver, userId: UserId): Promise<boolean> {
  const asked = hs.config.appservices.filter((it) => includes(it.users, userId));
  return await doesAnyKnow(hs, asked, {
    purpose: "queryUserByUserId",
    path: `/_matrix/app/v1/users/${encodeURIComponent(userId)}`,
  });
}

/** Asks for those of some users of this server who are not registered, before something is done to them. */
export async function queryUnregistered(hs: Homeserver, userIds: readonly UserId[]): Promise<void> {
  const isAskedFor = (userId: UserId) =>
    hs.config.appservices.some((it) => it.url !== null && includes(it.users, userId));
  const wanted = userIds.filter(isAskedFor);
  if (wanted.length === 0) return;
  const registered = await registeredAmong(hs.sql, wanted);
  const missing = wanted.filter((it) => !registered.has(it));
  await Promise.all(missing.map(async (it) => await queryUser(hs, it)));
}

/** The same of an alias that no room has: whoever knows it has given it to a room when it answers. */
export async function queryAlias(hs: Homeserver, alias: RoomAlias): Promise<boolean> {
  const asked = hs.config.appservices.filter((it) => includes(it.aliases, alias));
  return await doesAnyKnow(hs, asked, {
    purpose: "queryRoomByAlias",
    path: `/_matrix/app/v1/rooms/${encodeURIComponent(alias)}`,
  });
}

async function doesAnyKnow(
  hs: Homeserver,
  asked: readonly Appservice[],
  request: { readonly purpose: string; readonly path: string },
): Promise<boolean> {
  for (const it of asked) {
    try {
      const answer = await askAppservice(hs, it, {
        ...request,
        method: "GET",
        timeoutMs: TIMEOUT_MS,
      });
      if (answer?.status === 200) return true;
    } catch (error) {
      hs.log.warn({ err: error, appservice: it.id }, "an application service does not answer");
    }
  }
  return false;
}
