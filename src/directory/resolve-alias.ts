import { queryAlias } from "#src/appservices/query-on-demand.ts";
import type { Homeserver } from "#src/homeserver/homeserver.ts";
import {
  type RoomAlias,
  type RoomId,
  type ServerName,
  serverNameOf,
} from "#src/kit/identifiers.ts";
import { MatrixError } from "#src/kit/matrix-error.ts";
import { serversInRoom } from "#src/rooms/residents.ts";
import { roomOfAlias } from "./room-aliases.ts";

/** How long the server of an alias may take to say what it stands for. */
const TIMEOUT_MS = 15_000;

/** The most servers that are named to whoever looks for a room. */
const MOST_SERVERS = 50;

/** What an alias stands for, and the servers by which the room can be entered. */
export type AliasedRoom = { readonly roomId: RoomId; readonly servers: readonly ServerName[] };

/**
 * What an alias stands for, by this server's directory or that of the alias's own server.
 *
 * @throws MatrixError M_NOT_FOUND of an alias that stands for nothing; M_UNKNOWN (502) if its server does
 *   not answer.
 * @spec client-server-api#get_matrixclientv3directoryroomroomalias
 */
export async function resolveAlias(hs: Homeserver, alias: RoomAlias): Promise<AliasedRoom> {
  const server = serverNameOf(alias);
  if (server === hs.name) {
    const found = (await roomOfAlias(hs, alias)) ?? (await roomMadeFor(hs, alias));
    if (!found) throw noSuchAlias();
    const servers = await serversInRoom(hs, found.roomKey);
    return { roomId: found.roomId, servers: servers.slice(0, MOST_SERVERS) };
  }
  const question = { room_alias: alias };
  const answer = await hs.remotes.queryRoomDirectory(server, question, { timeoutMs: TIMEOUT_MS });
  if (answer.ok) {
    const { room_id, servers } = answer.body;
    return { roomId: room_id, servers: [...new Set([...servers, server])].slice(0, MOST_SERVERS) };
  }
  if (answer.why === "refused" && answer.status < 500) throw noSuchAlias();
  throw new MatrixError("M_UNKNOWN", "The server of this alias does not answer", { status: 502 });
}

/** The room that an application service has made for an alias because we ask. */
async function roomMadeFor(hs: Homeserver, alias: RoomAlias) {
  return (await queryAlias(hs, alias)) ? await roomOfAlias(hs, alias) : undefined;
}

function noSuchAlias(): MatrixError {
  return new MatrixError("M_NOT_FOUND", "No room has this alias");
}
