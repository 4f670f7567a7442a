import { z } from "zod";
import type { Homeserver } from "#src/homeserver/homeserver.ts";
import { type Call, type Endpoint, JSON_HEADERS, openEndpoint } from "#src/http/endpoint.ts";
import { MatrixError } from "#src/kit/matrix-error.ts";
import type { Requester } from "#src/kit/requester.ts";
import type { Place, Session } from "../queries-sessions.ts";
import { closeSession, openSession, readSession, replaceSaid } from "../sessions.ts";

const ALL = "/_matrix/client/unstable/io.element.msc4388/rendezvous";
const ONE = `${ALL}/:sessionId`;
const MOST_BYTES = 4_096;

/** MSC4388: where a client that logs in by a QR code meets one that is logged in. Only who is logged in may say where. */
export const rendezvousSessionEndpoints: readonly Endpoint[] = [
  openEndpoint({
    operation: "discoverRendezvous",
    method: "GET",
    path: ALL,
    auth: "optional",
    handle: (_hs, { requester }) => ({ create_available: mayOpen(requester) }),
  }),
  openEndpoint({
    operation: "createRendezvousSession",
    method: "POST",
    path: ALL,
    auth: "optional",
    rate: "login",
    body: z.object({ data: z.string() }),
    async handle(hs, { requester, body }) {
      if (!mayOpen(requester)) throw new MatrixError("M_FORBIDDEN", "Log in first");
      const session = await openSession(hs, "msc4388", requireModest(body.data));
      const { sessionId: id, tag: sequence_token } = session;
      return unstored({ id, sequence_token, expires_in_ms: leftMs(hs, session) });
    },
  }),
  openEndpoint({
    operation: "getRendezvousSession",
    method: "GET",
    path: ONE,
    auth: "none",
    async handle(hs, { params, request }) {
      // What anybody has left here is no page of this server.
      if (request.header("sec-fetch-mode") === "navigate") {
        throw new MatrixError("M_FORBIDDEN", "This is not for browsers to show");
      }
      const session = await readSession(hs, placeIn(params));
      const { said: data, tag: sequence_token } = session;
      return unstored({ data, sequence_token, expires_in_ms: leftMs(hs, session) });
    },
  }),
  openEndpoint({
    operation: "updateRendezvousSession",
    method: "PUT",
    path: ONE,
    auth: "none",
    body: z.object({ sequence_token: z.string(), data: z.string() }),
    async handle(hs, { params, body }) {
      const change = { before: body.sequence_token, said: requireModest(body.data) };
      const { session, isDone } = await replaceSaid(hs, placeIn(params), change);
      // Whoever has not heard that it was done may say it again.
      if (!isDone && session.said !== body.data) {
        throw new MatrixError(
          "IO_ELEMENT_MSC4388_CONCURRENT_WRITE",
          "Something else was left meanwhile",
        );
      }
      return unstored({ sequence_token: session.tag });
    },
  }),
  openEndpoint({
    operation: "cancelRendezvousSession",
    method: "DELETE",
    path: ONE,
    auth: "none",
    async handle(hs, { params }) {
      await closeSession(hs, placeIn(params));
      return {};
    },
  }),
];

function mayOpen(requester: Requester | undefined): boolean {
  return requester !== undefined && !requester.isGuest;
}

function placeIn(params: Call<unknown, unknown>["params"]): Place {
  return { protocol: "msc4388", sessionId: params["sessionId"] ?? "" };
}

/** @throws MatrixError M_TOO_LARGE */
function requireModest(data: string): string {
  if (Buffer.byteLength(data) <= MOST_BYTES) return data;
  throw new MatrixError("M_TOO_LARGE", `No more than ${MOST_BYTES} bytes can be left here`);
}

function leftMs(hs: Homeserver, { expiresAtMs }: Session): number {
  return Math.max(0, expiresAtMs - hs.now());
}

function unstored(answer: object): Response {
  const headers = { ...JSON_HEADERS, "cache-control": "no-store" };
  return new Response(JSON.stringify(answer), { headers });
}
