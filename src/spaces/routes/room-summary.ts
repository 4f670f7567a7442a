import { resolveAlias } from "#src/directory/resolve-alias.ts";
import type { Homeserver } from "#src/homeserver/homeserver.ts";
import { type Endpoint, openEndpoint } from "#src/http/endpoint.ts";
import { parseRoomAlias, parseRoomId, type RoomId, type ServerName } from "#src/kit/identifiers.ts";
import { parseServerName } from "#src/kit/server-name.ts";
import { readSummary } from "../read-summary.ts";

/** Under which matrix-js-sdk still asks, with the names that it still reads. */
const UNSTABLE = "/_matrix/client/unstable/im.nheko.summary";

/** The specification's `room_summary.yaml`. */
export const roomSummaryEndpoints: readonly Endpoint[] = [
  openEndpoint<undefined>({
    operation: "getRoomSummary",
    auth: "optional",
    method: "GET",
    path: [
      "/_matrix/client/v1/room_summary/:roomIdOrAlias",
      `${UNSTABLE}/summary/:roomIdOrAlias`,
      `${UNSTABLE}/rooms/:roomIdOrAlias/summary`,
    ],
    async handle(hs, { requester, params, query, request }) {
      const room = await roomToSum(hs, params["roomIdOrAlias"] ?? "", query);
      const summary = await readSummary(hs, requester?.userKey, room);
      if (!request.path.startsWith(UNSTABLE)) return summary;
      const { room_version, encryption } = summary;
      return {
        ...summary,
        "im.nheko.summary.room_version": room_version,
        "im.nheko.summary.version": room_version,
        ...(encryption !== undefined && { "im.nheko.summary.encryption": encryption }),
      };
    },
  }),
];

async function roomToSum(
  hs: Homeserver,
  idOrAlias: string,
  query: URLSearchParams,
): Promise<{ roomId: RoomId; via: readonly ServerName[] }> {
  const via = query.getAll("via").map(parseServerName);
  if (!idOrAlias.startsWith("#")) return { roomId: parseRoomId(idOrAlias), via };
  const { roomId, servers } = await resolveAlias(hs, parseRoomAlias(idOrAlias));
  return { roomId, via: [...via, ...servers] };
}
