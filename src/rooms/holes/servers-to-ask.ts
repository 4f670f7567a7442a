import type { Homeserver } from "#src/homeserver/homeserver.ts";
import { type ServerName, serverNameOf } from "#src/kit/identifiers.ts";
import type { Room } from "../find-room.ts";
import { serversInRoom } from "../residents.ts";
import type { StoredEvent } from "../stored-event.ts";
import type { Hole } from "./queries-holes.ts";
import { MOST_SERVERS } from "./sources.ts";

/**
 * Who probably has what is missing: at first the servers of those who sent what follows it, and of most who
 * are in the room; if that was in vain, others.
 */
export async function serversToAsk(
  hs: Homeserver,
  { roomKey }: Room,
  holes: readonly Hole[],
  followers: readonly StoredEvent[],
): Promise<ServerName[]> {
  const senders = followers.map((it) => serverNameOf(it.sender));
  const residents = await serversInRoom(hs, roomKey);
  const servers = [...new Set([...senders, ...residents])].filter((it) => it !== hs.name);
  const tried = (Math.max(1, ...holes.map((it) => it.failures)) - 1) * MOST_SERVERS;
  const first = servers.length === 0 ? 0 : tried % servers.length;
  return [...servers.slice(first), ...servers.slice(0, first)];
}
