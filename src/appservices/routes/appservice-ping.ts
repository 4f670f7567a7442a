import { z } from "zod";
import { type Endpoint, userEndpoint } from "#src/http/endpoint.ts";
import { pingAppservice } from "../ping-appservice.ts";

const Ping = z.object({ transaction_id: z.string().optional() });

/** The specification's `appservice_ping.yaml`. */
export const appservicePingEndpoints: readonly Endpoint[] = [
  userEndpoint<z.infer<typeof Ping>>({
    operation: "pingAppservice",
    method: "POST",
    path: "/_matrix/client/v1/appservice/:appserviceId/ping",
    body: Ping,
    async handle(hs, { requester, params, body }) {
      const asking = {
        appserviceId: params["appserviceId"] ?? "",
        askerId: requester.appserviceId,
      };
      return { duration_ms: await pingAppservice(hs, asking, body.transaction_id) };
    },
  }),
];
