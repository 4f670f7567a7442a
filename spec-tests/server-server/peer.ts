import { sign } from "node:crypto";
import { once } from "node:events";
import type { IncomingMessage, ServerResponse } from "node:http";
import { createServer } from "node:https";
import { text } from "node:stream/consumers";
import { afterAll, expect } from "vitest";
import {
  type Answer,
  homeserver,
  type Method,
  type TestHomeserver,
} from "../client-server/client.ts";
import {
  canonicalText,
  pairNamed,
  signed,
  type SigningPair,
  unpadded,
} from "../client-server/signing.ts";
import { runAuthority } from "../run-authority.ts";
import type { ServerBody, WirePdu } from "./server-answers.ts";

/** The name of the homeserver under test. */
export const HS = "hs.test";

export const V1 = "/_matrix/federation/v1";
export const V2 = "/_matrix/federation/v2";

/** Text within a path. */
export const E = encodeURIComponent;

/** What a peer is asked. */
export type Asked = {
  readonly method: string;
  /** Decoded, without its query. */
  readonly path: string;
  readonly query: URLSearchParams;
  readonly body: WirePdu & { readonly event: WirePdu };
};

/** Another server: it has a name and a key, `ed25519:1`, and says what a test has it say. */
export type Peer = {
  readonly name: string;
  readonly pair: SigningPair;
  user(localpart: string): string;
  /** Asks the homeserver something, signed. */
  ask<Said = ServerBody>(method: Method, uri: string, body?: unknown): Promise<Answer<Said>>;
  /** What it was asked so far, but for its keys. */
  readonly asked: Asked[];
  /** What it answers from now on: undefined where it has no such thing, and a `Refusal` of what it does not want. */
  answers: (asked: Asked) => unknown;
};

/** The homeserver that tests of this API share, and which can reach peers. */
export async function federatingHomeserver(): Promise<TestHomeserver> {
  return await homeserver({
    ARCHIPEL_FEDERATION_CA_FILE: runAuthority().caFile,
    ARCHIPEL_FEDERATION_ALLOWED_ADDRESS_RANGES: "127.0.0.0/8",
  });
}

/** Opens a server until the tests of the file are over. */
export async function openPeer(hs: TestHomeserver): Promise<Peer> {
  const asked: Asked[] = [];
  const respond = async (request: IncomingMessage, response: ServerResponse) => {
    const url = new URL(request.url ?? "/", "https://peer.test");
    if (url.pathname === "/_matrix/key/v2/server") {
      response.end(JSON.stringify(keyDocument(peer)));
      return;
    }
    const content = await text(request);
    const it: Asked = {
      method: request.method ?? "",
      path: decodeURIComponent(url.pathname),
      query: url.searchParams,
      body: content === "" ? undefined : JSON.parse(content),
    };
    asked.push(it);
    const answer = (await peer.answers(it)) ?? new Refusal(404, "M_UNRECOGNIZED");
    if (answer instanceof Refusal) response.statusCode = answer.status;
    response.setHeader("content-type", "application/json");
    response.end(JSON.stringify(answer instanceof Refusal ? answer.body : answer));
  };
  const server = createServer(runAuthority().certificate, (request, response) => {
    void respond(request, response);
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  afterAll(() => {
    server.close();
    server.closeAllConnections();
  });
  const address = server.address();
  const port = typeof address === "object" && address !== null ? address.port : 0;
  const name = `127.0.0.1:${port}`;
  const peer: Peer = {
    name,
    pair: pairNamed(name),
    asked,
    answers: () => undefined,
    user: (localpart) => `@${localpart}:${name}`,
    async ask<Said = ServerBody>(method: Method, uri: string, body?: unknown) {
      const headers = { authorization: authorization(peer, { method, uri, body }) };
      const raw = body === undefined ? {} : { raw: canonicalText(body) };
      return await hs.request<Said>(method, uri, { headers, ...raw });
    },
  };
  return peer;
}

/** What a peer answers to what it does not want. */
export class Refusal {
  readonly status: number;
  readonly body: object;

  constructor(status: number, errcode: string) {
    this.status = status;
    this.body = { errcode, error: "No" };
  }
}

/** How a request is signed, and what of it otherwise than it should be. */
export type Signing = {
  readonly method: string;
  readonly uri: string;
  readonly body?: unknown;
  readonly destination?: string;
  /** The version of the key. */
  readonly key?: string;
};

/** The header that shows a request to be a peer's. @spec server-server-api#request-authentication */
export function authorization(
  { name: origin, pair }: Pick<Peer, "name" | "pair">,
  { method, uri, body: content, destination = HS, key = "1" }: Signing,
): string {
  const request = { method, uri, origin, destination, ...(content !== undefined && { content }) };
  const sig = unpadded(sign(null, Buffer.from(canonicalText(request)), pair.privateKey));
  return `X-Matrix origin="${origin}",destination="${destination}",key="ed25519:${key}",sig="${sig}"`;
}

function keyDocument({ name, pair }: Peer): object {
  const document = {
    server_name: name,
    valid_until_ts: Date.now() + 3_600_000,
    verify_keys: { "ed25519:1": { key: pair.publicKey } },
    old_verify_keys: {},
  };
  return signed(document, name, { name: "1", pair });
}

/** The body of an answer that is well. */
export function good<Said>({ status, body, text: said }: Answer<Said>): Said {
  expect([status, said.slice(0, 300)]).toEqual([200, said.slice(0, 300)]);
  return body;
}
