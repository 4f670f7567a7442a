import type { z } from "zod";
import { type Endpoint, userEndpoint } from "#src/http/endpoint.ts";
import { parseRoomId, parseUserId } from "#src/kit/identifiers.ts";
import { REDACT_EVENTS } from "#src/rooms/mass-redaction/removal.ts";
import { banUser, forgetRoom, kickUser, leaveRoom, unbanUser } from "../change-members.ts";
import { WithReason, WithRemoved, WithUser } from "../request-bodies.ts";

/** What one member does to another: `kicking.yaml` and `banning.yaml`. */
const toOthers = [
  { operation: "kick", verb: "kick", act: kickUser, body: WithRemoved },
  { operation: "ban", verb: "ban", act: banUser, body: WithRemoved },
  { operation: "unban", verb: "unban", act: unbanUser, body: WithUser },
] as const;

/** The specification's `leaving.yaml`, `kicking.yaml` and `banning.yaml`. */
export const leavingEndpoints: readonly Endpoint[] = [
  ...toOthers.map(({ operation, verb, act, body: schema }) =>
    userEndpoint<z.infer<typeof WithRemoved>>({
      operation,
      method: "POST",
      path: `/_matrix/client/v3/rooms/:roomId/${verb}`,
      body: schema,
      async handle(hs, { requester, params, body }) {
        const roomId = parseRoomId(params["roomId"] ?? "");
        await act(hs, requester, {
          roomId,
          target: parseUserId(body.user_id),
          reason: body.reason,
          redactEvents: body[REDACT_EVENTS],
        });
        return {};
      },
    }),
  ),
  userEndpoint<z.infer<typeof WithReason>>({
    operation: "leaveRoom",
    method: "POST",
    path: "/_matrix/client/v3/rooms/:roomId/leave",
    body: WithReason,
    guests: true,
    async handle(hs, { requester, params, body }) {
      const roomId = parseRoomId(params["roomId"] ?? "");
      await leaveRoom(hs, requester, { roomId, reason: body.reason });
      return {};
    },
  }),
  userEndpoint<z.infer<typeof WithReason>>({
    operation: "forgetRoom",
    method: "POST",
    path: "/_matrix/client/v3/rooms/:roomId/forget",
    body: WithReason,
    guests: true,
    async handle(hs, { requester, params }) {
      await forgetRoom(hs, requester, parseRoomId(params["roomId"] ?? ""));
      return {};
    },
  }),
];
