import { createHmac } from "node:crypto";
import type { Homeserver } from "#src/homeserver/homeserver.ts";
import type { UserId } from "#src/kit/identifiers.ts";

/** By what a client reaches others through the TURN servers, in the words of the wire. */
export type TurnCredentials = {
  readonly username: string;
  readonly password: string;
  readonly uris: readonly string[];
  /** In seconds. */
  readonly ttl: number;
};

/**
 * Credentials for the TURN servers, which these check by a secret that they share with us: the name says until when they
 * are good.
 *
 * @returns undefined if there are none.
 * @spec client-server-api#get_matrixclientv3voipturnserver
 * @see https://datatracker.ietf.org/doc/html/draft-uberti-behave-turn-rest-00
 */
export function turnCredentials(hs: Homeserver, userId: UserId): TurnCredentials | undefined {
  const { turnUris, turnSecret, turnLifetimeMs } = hs.config.calls;
  if (turnUris.length === 0 || turnSecret === null) return undefined;
  const ttl = Math.floor(turnLifetimeMs / 1000);
  const username = `${Math.floor(hs.now() / 1000) + ttl}:${userId}`;
  const password = createHmac("sha1", turnSecret).update(username).digest("base64");
  return { username, password, uris: turnUris, ttl };
}
