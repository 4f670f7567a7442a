/**
 * The null server: answers the load from memory, with no rules, no signatures and no database. What is measured with it
 * is the load itself. `node bench/servers/null-server.ts PORT [HOST]`
 */
import { createServer, type IncomingMessage, type ServerResponse } from "node:http";
import { text } from "node:stream/consumers";
import { nullHomeserver } from "./null-homeserver.ts";

/** Starts one. */
export function startNullServer(port: number, host: string, faulty?: (eventId: string) => boolean) {
  const homeserver = nullHomeserver(faulty);
  const server = createServer((request, response) => {
    void serve(request, response, homeserver);
  });
  server.keepAliveTimeout = 120_000;
  server.maxRequestsPerSocket = 0;
  return server.listen(port, host);
}

async function serve(
  request: IncomingMessage,
  response: ServerResponse,
  homeserver: ReturnType<typeof nullHomeserver>,
): Promise<void> {
  const url = new URL(request.url ?? "/", "http://null");
  const body = request.method === "GET" ? "" : await text(request);
  const token = request.headers.authorization?.slice("Bearer ".length) ?? "";
  const answer = await homeserver.answer({
    path: url.pathname,
    query: url.searchParams,
    body,
    token,
  });
  response.writeHead(answer === undefined ? 404 : 200, {
    "content-type": "application/json",
    "content-length": Buffer.byteLength(answer ?? "{}"),
  });
  response.end(answer ?? "{}");
}

if (import.meta.main) {
  startNullServer(Number(process.argv[2]), process.argv[3] ?? "127.0.0.1");
}
