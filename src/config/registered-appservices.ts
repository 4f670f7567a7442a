import { hash, timingSafeEqual } from "node:crypto";
import type { Appservice } from "./appservice.ts";
import type { Config } from "./config.ts";
import type { Namespace } from "./namespace.ts";

/** The application service that a token is of. */
export function appserviceOfToken(
  { appservices }: Pick<Config, "appservices">,
  token: string,
): Appservice | undefined {
  if (appservices.length === 0) return undefined;
  const shown = hash("sha256", token, "buffer");
  return appservices.find((it) => timingSafeEqual(hash("sha256", it.asToken, "buffer"), shown));
}

/** The user ID in which an application service speaks when it names no other. */
export function senderOf(
  { serverName }: Pick<Config, "serverName">,
  { senderLocalpart }: Appservice,
): `@${string}:${string}` {
  return `@${senderLocalpart}:${serverName}`;
}

/** Whether a user is one of those that an application service looks after, or its own. */
export function looksAfterUser(config: Config, appservice: Appservice, userId: string): boolean {
  if (!userId.endsWith(`:${config.serverName}`)) return false;
  return userId === senderOf(config, appservice) || includes(appservice.users, userId);
}

/** Whether nobody but the application service has to do with a user of this server. */
export function ownsUser(config: Config, appservice: Appservice, userId: string): boolean {
  if (!userId.endsWith(`:${config.serverName}`)) return false;
  return userId === senderOf(config, appservice) || includes(exclusive(appservice.users), userId);
}

/** The application services that have claimed a user ID of this server for themselves. */
export function ownersOfUser(config: Config, userId: string): readonly Appservice[] {
  return config.appservices.filter((it) => ownsUser(config, it, userId));
}

/** The application services that have claimed an alias for themselves. */
export function ownersOfAlias(config: Config, alias: string): readonly Appservice[] {
  return config.appservices.filter((it) => includes(exclusive(it.aliases), alias));
}

export function includes(namespaces: readonly Namespace[], id: string): boolean {
  return namespaces.some((it) => it.includes(id));
}

function exclusive(namespaces: readonly Namespace[]): readonly Namespace[] {
  return namespaces.filter((it) => it.exclusive);
}
