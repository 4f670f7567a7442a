import type { Appservice } from "#src/config/appservice.ts";
import type { Homeserver } from "#src/homeserver/homeserver.ts";
import { destinationOfUrl } from "#src/outbound/destination.ts";
import { type OutboundAnswer, sendRequest } from "#src/outbound/send-request.ts";

/** What an application service is asked or told. */
export type AppserviceRequest = {
  /** The specification's operation. */
  readonly purpose: string;
  readonly method: "GET" | "PUT" | "POST";
  /** After the application service's URL, with the query. */
  readonly path: string;
  /** JSON. */
  readonly body?: string;
  readonly timeoutMs: number;
};

/** The most bytes of its answers. */
const MOST_BYTES = 4 * 1024 * 1024;

/**
 * Asks an application service something. It may be in a private network: the operator has said where it is.
 *
 * @returns its answer, of whatever status; undefined if it wants to be asked nothing.
 * @throws OutboundError if it gives none.
 * @spec application-service-api#authorisation
 */
export async function askAppservice(
  hs: Homeserver,
  { url, hsToken }: Pick<Appservice, "url" | "hsToken">,
  { purpose, method, path, body, timeoutMs }: AppserviceRequest,
): Promise<OutboundAnswer | undefined> {
  const to = url === null ? undefined : destinationOfUrl(new URL(url + path));
  if (!to) return undefined;
  return await sendRequest(hs, {
    path: to.path,
    destination: { ...to.destination, isConfigured: true },
    purpose,
    method,
    headers: {
      authorization: `Bearer ${hsToken}`,
      ...(body !== undefined && { "content-type": "application/json" }),
    },
    ...(body !== undefined && { body }),
    timeoutMs,
    mostBytes: MOST_BYTES,
  });
}
