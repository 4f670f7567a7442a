import { z } from "zod";
import type { Homeserver } from "#src/homeserver/homeserver.ts";
import type { RoomId, ServerName } from "#src/kit/identifiers.ts";

const TIMEOUT_MS = 10_000;

/** Of how many servers it is asked. */
const MOST_SERVERS = 3;

/**
 * Whether a room that this server is not in lets guests in, as those in it tell. Who are guests every server knows of
 * its own users alone, so none of the others keeps them out.
 *
 * @param servers those that are probably in the room, the likeliest first.
 * @spec client-server-api#guest-access
 */
export async function letsGuestsIn(
  hs: Homeserver,
  roomId: RoomId,
  servers: readonly ServerName[],
): Promise<boolean> {
  const Told = z.object({ room_id: z.literal(roomId), guest_can_join: z.boolean() });
  for (const server of servers.slice(0, MOST_SERVERS)) {
    const options = { timeoutMs: TIMEOUT_MS };
    const answer = await hs.remotes.getSpaceHierarchy(server, { roomId }, options);
    const told = answer.ok ? Told.safeParse(answer.body.room).data : undefined;
    if (told) return told.guest_can_join;
  }
  return false;
}
