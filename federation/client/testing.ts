/** Another server, which says what a test wants. For tests alone. */

import type { IncomingMessage, ServerResponse } from "node:http";
import { buffer } from "node:stream/consumers";
import type { ServerName } from "#src/kit/identifiers.ts";
import type { TestFederation } from "../testing.ts";

export type PretendedServer = {
  readonly name: ServerName;
  /** What it was asked last. */
  asked: { request: string; body: string; authorization: string | undefined };
  /** What it does with what it is asked from now on. */
  says: (response: ServerResponse, request: IncomingMessage) => void;
  /** Has it answer so from now on. */
  saying(body: unknown, status?: number, headers?: Record<string, string>): void;
};

export async function pretendedServer(
  federation: TestFederation,
  host: string,
): Promise<PretendedServer> {
  const name = await federation.pretend(host, (request, response) => {
    void buffer(request).then((body) => {
      const { authorization } = request.headers;
      const line = `${request.method} ${request.url}`;
      server.asked = { request: line, body: body.toString(), authorization };
      server.says(response, request);
    });
  });
  const server: PretendedServer = {
    name: name as ServerName,
    asked: { request: "", body: "", authorization: undefined },
    says: (response) => void response.end(),
    saying(body, status = 200, headers = {}) {
      server.says = (response) => response.writeHead(status, headers).end(JSON.stringify(body));
    },
  };
  return server;
}
