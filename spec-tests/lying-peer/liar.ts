import { request as askHttp, type IncomingMessage, type ServerResponse } from "node:http";
import { buffer } from "node:stream/consumers";
import { xMatrixHeader } from "#federation/client/x-matrix.ts";
import { unpaddedBase64 } from "#src/kit/base64.ts";
import { laxCanonicalJson } from "#src/kit/canonical-json.ts";
import type { ServerName, UserId } from "#src/kit/identifiers.ts";
import { type SigningKey, signingKeyFromSeed, signJson } from "#src/kit/signed-json.ts";
import { type TestAuthority, testTlsServer } from "#src/outbound/testing.ts";
import type { ServerBody, TransactionAnswer } from "../server-server/server-answers.ts";

/** What the liar does with a request: answers JSON, or whatever it wants by hand. */
export type LiarAnswer =
  | { readonly json: unknown; readonly status?: number }
  | { readonly byHand: (response: ServerResponse) => void };

export type LiarAnswers = (asked: {
  readonly method: string;
  /** Decoded, without its query. */
  readonly path: string;
  readonly body: unknown;
}) => LiarAnswer | undefined;

export type Told<Said = ServerBody> = { readonly status: number; readonly body: Said };

/** A server with a name and a key of its own that does as a test says. */
export type Liar = {
  readonly name: ServerName;
  readonly key: SigningKey;
  /** What it was asked, but for its keys. */
  readonly asked: string[];
  user(localpart: string): UserId;
  /** What it answers from now on. */
  answer(answers: LiarAnswers): void;
  /** Asks a homeserver something. */
  ask<Said = ServerBody>(
    method: "GET" | "PUT" | "POST",
    uri: string,
    body?: unknown,
    how?: Asking,
  ): Promise<Told<Said>>;
  /** Sends a transaction. */
  send(said: {
    pdus?: readonly unknown[];
    edus?: readonly unknown[];
    txnId?: string;
  }): Promise<Told<TransactionAnswer>>;
  close(): Promise<void>;
};

export type Asking = {
  /** Who it says it is, and to whom it says it speaks. */
  readonly origin?: string;
  readonly destination?: string;
  /** What it signs with, if not with its own key. */
  readonly key?: SigningKey;
  /** The body as it goes over the wire, in place of Canonical JSON. */
  readonly text?: string;
};

let transactions = 0;

/**
 * Opens a liar that tells lies to one homeserver.
 *
 * @param to that server's name, and where it listens.
 */
export async function openLiar(
  authority: TestAuthority,
  to: { readonly name: string; readonly url: string },
): Promise<Liar> {
  const asked: string[] = [];
  let answers: LiarAnswers = () => undefined;
  let published: object = {};
  const respond = async (request: IncomingMessage, response: ServerResponse) => {
    const text = (await buffer(request)).toString();
    const path = decodeURIComponent((request.url ?? "").replace(/\?.*/, ""));
    if (path === "/_matrix/key/v2/server") {
      response.end(JSON.stringify(published));
      return;
    }
    asked.push(`${request.method} ${path}`);
    const body = text === "" ? undefined : JSON.parse(text);
    const answer = answers({ method: request.method ?? "", path, body });
    if (answer && "byHand" in answer) {
      answer.byHand(response);
      return;
    }
    response.statusCode = answer ? (answer.status ?? 200) : 404;
    response.end(JSON.stringify(answer?.json ?? { errcode: "M_NOT_FOUND", error: "No" }));
  };
  const server = await testTlsServer(authority.issue("127.0.0.1"), (request, response) => {
    respond(request, response).catch(() => response.destroy());
  });
  const name = `127.0.0.1:${server.port}` as ServerName;
  // The key that the rooms of tests give to a server of this name.
  const key = signingKeyFromSeed("ed25519:1", Buffer.alloc(32, name));
  published = signJson(
    {
      server_name: name,
      valid_until_ts: Date.now() + 3_600_000,
      verify_keys: { [key.keyId]: { key: unpaddedBase64(key.publicKey) } },
      old_verify_keys: {},
    },
    name,
    key,
  );
  const ask: Liar["ask"] = async (method, uri, body, how = {}) => {
    const content = body === undefined ? undefined : (how.text ?? laxCanonicalJson(body));
    const signed = {
      method,
      uri,
      origin: how.origin ?? name,
      destination: how.destination ?? to.name,
      ...(content !== undefined && { content }),
    };
    const authorization = xMatrixHeader(signed as never, how.key ?? key);
    return await sendByHand(to.url, { method, uri, authorization, content });
  };
  return {
    name,
    key,
    asked,
    user: (localpart) => `@${localpart}:${name}`,
    answer: (it) => void (answers = it),
    ask,
    async send({ pdus = [], edus = [], txnId = `t${++transactions}` }) {
      const body = { origin: name, origin_server_ts: Date.now(), pdus, edus };
      return await ask("PUT", `/_matrix/federation/v1/send/${txnId}`, body);
    },
    close: async () => await server.close(),
  };
}

type Sent = {
  readonly method: string;
  readonly uri: string;
  readonly authorization: string;
  readonly content: string | undefined;
};

/** Node's own, since the paths of lies are no URLs that `fetch` would leave as they are. */
async function sendByHand<Said>(
  url: string,
  { method, uri, authorization, content }: Sent,
): Promise<Told<Said>> {
  return await new Promise((resolve, reject) => {
    const { hostname, port } = new URL(url);
    const headers = {
      authorization,
      ...(content !== undefined && { "content-length": Buffer.byteLength(content) }),
    };
    const request = askHttp({ host: hostname, port, method, path: uri, headers });
    request.on("error", reject);
    request.on("response", (response) => {
      buffer(response).then((bytes) => {
        const text = bytes.toString();
        resolve({
          status: response.statusCode ?? 0,
          body: text === "" ? undefined : JSON.parse(text),
        });
      }, reject);
    });
    request.end(content);
  });
}
