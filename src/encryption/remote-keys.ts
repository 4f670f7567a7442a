import type { Homeserver } from "#src/homeserver/homeserver.ts";
import { serverNameOf, type ServerName, type UserId } from "#src/kit/identifiers.ts";

/** Why a server's part of an answer is missing, as clients are told. */
export type Failures = Readonly<Record<string, object>>;

/** Splits users into ours and those of each other server. */
export function usersByServer(
  hs: Homeserver,
  userIds: readonly UserId[],
): { local: readonly UserId[]; remote: ReadonlyMap<ServerName, readonly UserId[]> } {
  const { local = [], ...others } = Object.groupBy(userIds, (it) =>
    serverNameOf(it) === hs.name ? "local" : "remote",
  );
  return { local, remote: Map.groupBy(others.remote ?? [], serverNameOf) };
}

/** What is said of each server that has not answered. */
export function unreachable(servers: Iterable<ServerName>): Failures {
  const failure = { errcode: "M_UNKNOWN", error: "The server cannot be reached" };
  return Object.fromEntries(Array.from(servers, (it) => [it, failure]));
}

/**
 * Of how many servers a request may have us ask. Clients ask for the keys of the members of a large room in several
 * requests; of more servers than these nobody would wait for the answers.
 */
const MOST_SERVERS = 500;

/** Those of some servers that are asked because of one request. The others count as those that do not answer. */
export function serversToAsk(servers: Iterable<ServerName>): ReadonlySet<ServerName> {
  return new Set(new Set(servers).values().take(MOST_SERVERS));
}
