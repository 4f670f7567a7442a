import { z } from "zod";
import { type Endpoint, userEndpoint } from "#src/http/endpoint.ts";
import { parseUserId } from "#src/kit/identifiers.ts";
import { MatrixError } from "#src/kit/matrix-error.ts";
import { readPresence } from "../read-presence.ts";
import { setPresence } from "../set-presence.ts";

const STATUS = "/_matrix/client/v3/presence/:userId/status";

const Status = z.object({
  presence: z.enum(["online", "unavailable", "offline"]),
  status_msg: z.string().nullish(),
});

/** The specification's `presence.yaml`. */
export const presenceEndpoints: readonly Endpoint[] = [
  userEndpoint({
    operation: "getPresence",
    method: "GET",
    path: STATUS,
    handle: async (hs, { requester, params }) =>
      await readPresence(hs, requester, parseUserId(params["userId"] ?? "")),
  }),
  userEndpoint({
    operation: "setPresence",
    method: "PUT",
    path: STATUS,
    body: Status,
    async handle(hs, { requester, params, body }) {
      if (params["userId"] !== requester.userId) {
        throw new MatrixError("M_FORBIDDEN", "You cannot say where others are");
      }
      const { presence: state, status_msg } = body;
      await setPresence(hs, requester, { state, statusMsg: status_msg ?? undefined });
      return {};
    },
  }),
];
