import { type Call, CORS_HEADERS, type Endpoint, openEndpoint } from "#src/http/endpoint.ts";
import { readBody } from "#src/http/read-body.ts";
import { MatrixError } from "#src/kit/matrix-error.ts";
import type { Requester } from "#src/kit/requester.ts";
import type { Place, Session } from "../queries-sessions.ts";
import { closeSession, openSession, readSession, replaceSaid } from "../sessions.ts";

const ALL = "/_matrix/client/unstable/org.matrix.msc4108/rendezvous";
const ONE = `${ALL}/:sessionId`;
const MOST_BYTES = 4_096;

type Asked = Call<undefined, Requester | undefined>;

/** MSC4108, as it was in 2024: where a client that logs in by a QR code meets one that is logged in. */
export const rendezvousEndpoints: readonly Endpoint[] = [
  openEndpoint({
    operation: "openRendezvous",
    method: "POST",
    path: ALL,
    auth: "none",
    rate: "login",
    async handle(hs, call) {
      const session = await openSession(hs, "msc4108", await saidIn(call));
      const url = `${hs.config.publicBaseUrl.replace(/\/$/, "")}${ALL}/${session.sessionId}`;
      const headers = { ...headersOf(session), "content-type": "application/json" };
      return new Response(JSON.stringify({ url }), { status: 201, headers });
    },
  }),
  openEndpoint({
    operation: "readRendezvous",
    method: "GET",
    path: ONE,
    auth: "none",
    async handle(hs, { params, request }) {
      const session = await readSession(hs, placeIn(params));
      const headers = headersOf(session);
      if (request.header("if-none-match") === headers.etag) {
        return new Response(null, { status: 304, headers });
      }
      return new Response(session.said, { headers: { ...headers, "content-type": "text/plain" } });
    },
  }),
  openEndpoint({
    operation: "writeRendezvous",
    method: "PUT",
    path: ONE,
    auth: "none",
    async handle(hs, call) {
      const before = call.request.header("if-match");
      if (before === undefined) throw new MatrixError("M_MISSING_PARAM", "Missing If-Match");
      const change = { before: before.replaceAll('"', ""), said: await saidIn(call) };
      const { session, isDone } = await replaceSaid(hs, placeIn(call.params), change);
      if (!isDone) {
        throw new MatrixError("M_UNKNOWN", "Something else was left meanwhile", {
          status: 412,
          fields: { "org.matrix.msc4108.errcode": "M_CONCURRENT_WRITE" },
        });
      }
      return new Response(null, { status: 202, headers: headersOf(session) });
    },
  }),
  openEndpoint({
    operation: "closeRendezvous",
    method: "DELETE",
    path: ONE,
    auth: "none",
    async handle(hs, { params }) {
      await closeSession(hs, placeIn(params));
      return new Response(null, { status: 204, headers: CORS_HEADERS });
    },
  }),
];

function placeIn(params: Asked["params"]): Place {
  return { protocol: "msc4108", sessionId: params["sessionId"] ?? "" };
}

/** @throws MatrixError M_INVALID_PARAM, M_TOO_LARGE, M_NOT_JSON of what is no UTF-8. */
async function saidIn({ request, incoming }: Asked): Promise<string> {
  if (!/^text\/plain\b/i.test(request.header("content-type") ?? "")) {
    throw new MatrixError("M_INVALID_PARAM", "What is left here is text/plain");
  }
  return (await readBody(request, incoming, { mostBytes: MOST_BYTES })).toString();
}

function headersOf({ tag, changedMs, expiresAtMs }: Session) {
  return {
    ...CORS_HEADERS,
    etag: `"${tag}"`,
    expires: new Date(expiresAtMs).toUTCString(),
    "last-modified": new Date(changedMs).toUTCString(),
    "cache-control": "no-store",
    pragma: "no-cache",
    // What is left here anybody may have left.
    "x-content-type-options": "nosniff",
  };
}
