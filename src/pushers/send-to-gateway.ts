import { z } from "zod";
import type { Homeserver } from "#src/homeserver/homeserver.ts";
import { destinationOfUrl } from "#src/outbound/destination.ts";
import { sendRequest } from "#src/outbound/send-request.ts";
import type { Notification } from "./notification.ts";

/** How long a gateway may take. */
const TIMEOUT_MS = 10_000;
const MOST_BYTES = 256 * 1024;

// Gateways written in Go say null of an empty list.
const Answer = z.object({ rejected: z.array(z.string()).nullish() });

/**
 * Tells a gateway something.
 *
 * @returns the pushkeys of which it says that there is nobody.
 * @throws OutboundError if it gives no answer, and Error for one that is none.
 * @spec push-gateway-api#homeserver-behaviour
 */
export async function sendToGateway(
  hs: Homeserver,
  url: string,
  notification: Notification,
): Promise<readonly string[]> {
  const to = URL.canParse(url) && destinationOfUrl(new URL(url));
  if (!to) throw new Error("the pusher has no URL");
  const { status, body } = await sendRequest(hs, {
    ...to,
    purpose: "notify",
    method: "POST",
    headers: { "content-type": "application/json" },
    body: JSON.stringify(notification),
    timeoutMs: TIMEOUT_MS,
    mostBytes: MOST_BYTES,
  });
  if (status < 200 || status > 299) throw new Error(`the gateway answers with status ${status}`);
  return Answer.parse(JSON.parse(body.toString("utf8"))).rejected ?? [];
}
