import { type Endpoint, jsonText, serverEndpoint } from "#src/http/endpoint.ts";
import { parseEventId, parseRoomId } from "#src/kit/identifiers.ts";
import { servedText } from "#src/rooms/served-text.ts";
import { readAuthChain } from "../read-state.ts";

/** The specification's `event_auth.yaml`. */
export const eventAuthEndpoints: readonly Endpoint[] = [
  /** @spec server-server-api#get_matrixfederationv1event_authroomideventid */
  serverEndpoint({
    operation: "getEventAuth",
    method: "GET",
    path: "/_matrix/federation/v1/event_auth/:roomId/:eventId",
    async handle(hs, { requester: server, params }) {
      const roomId = parseRoomId(params["roomId"] ?? "");
      const eventId = parseEventId(params["eventId"] ?? "");
      const { room, authChain } = await readAuthChain(hs, { server, roomId, eventId });
      const texts = authChain.map((it) => servedText(it, room.rules));
      return jsonText(`{"auth_chain":[${texts.join(",")}]}`);
    },
  }),
];
