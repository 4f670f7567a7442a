import { randomBytes } from "node:crypto";
import fc from "fast-check";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { z } from "zod";
import { type Endpoint, serverEndpoint } from "#src/http/endpoint.ts";
import { mount } from "#src/http/mount.ts";
import { laxCanonicalJson } from "#src/kit/canonical-json.ts";
import type { ServerName } from "#src/kit/identifiers.ts";
import { MatrixError } from "#src/kit/matrix-error.ts";
import { type SigningKey, signingKeyFromSeed, signJson } from "#src/kit/signed-json.ts";
import { parseWireJson } from "#src/kit/wire-json.ts";
import { xMatrixHeader } from "../client/x-matrix.ts";
import { type FederatedHomeserver, testFederation } from "../testing.ts";
import { checkOrigin } from "./check-origin.ts";
import { documentOf, newKey } from "./testing.ts";

const federation = await testFederation();
let hs1: FederatedHomeserver;
/** A server of the test's own, and its keys. */
let origin: ServerName;
const [key, old, unpublished] = [newKey("new"), newKey("old"), newKey("none")];

beforeAll(async () => {
  hs1 = await federation.open();
  const published = () => {
    const gone: [SigningKey, number] = [old, Date.now() - 1];
    return signJson(documentOf({ name: origin, keys: [key], old: [gone] }), origin, key);
  };
  origin = (await federation.pretend("liar.test", (_request, response) => {
    response.end(JSON.stringify(published()));
  })) as ServerName;
});
afterAll(async () => await federation.close());

/** Answers with what it has understood. */
const echo: readonly Endpoint[] = [
  serverEndpoint({
    operation: "sendTransaction",
    method: "PUT",
    path: "/_matrix/federation/v1/send/:txnId",
    body: z.looseObject({}),
    handle: (_hs, { requester, body, params }) => ({
      requester,
      params,
      body: laxCanonicalJson(body),
    }),
  }),
  serverEndpoint({
    operation: "sendTransaction",
    method: "POST",
    path: "/_matrix/federation/v1/send/:txnId",
    body: z.object({ pdus: z.array(z.unknown()) }),
    handle: (_hs, { body }) => ({ pdus: body.pdus.length }),
  }),
  serverEndpoint({
    operation: "getEvent",
    method: "GET",
    path: "/_matrix/federation/v1/event/:eventId",
    handle: (_hs, { requester, params, query }) => ({ requester, params, query: [...query] }),
  }),
];

type Sent = {
  readonly method?: string;
  readonly uri?: string;
  /** The body's text. */
  readonly body?: string;
  /** What is signed, where it is not what is sent. */
  readonly signed?: {
    readonly method?: string;
    readonly uri?: string;
    readonly destination?: string;
    /** Undefined if no body is signed. */
    readonly content?: string | undefined;
  };
  readonly by?: SigningKey;
  readonly header?: (header: string) => string | undefined;
};

const PUT = { method: "PUT", uri: "/_matrix/federation/v1/send/1" };

async function send(sent: Sent = {}) {
  const { method, uri, body } = { ...PUT, ...sent };
  const authorization = authorizationOf(sent);
  const response = await mount(hs1.hs, echo, nobody, checkOrigin).request(uri, {
    method,
    ...(body !== undefined && { body }),
    headers: authorization === undefined ? {} : { authorization },
  });
  return { status: response.status, body: (await response.json()) as Record<string, unknown> };
}

function authorizationOf({ by = key, header = (it) => it, signed, ...sent }: Sent) {
  const content =
    signed && "content" in signed
      ? signed.content
      : sent.body && laxCanonicalJson(parseWireJson(sent.body));
  const request = { ...PUT, ...sent, destination: hs1.name, ...signed, content };
  const { method, uri, destination } = request;
  return header(
    xMatrixHeader(
      {
        method,
        uri,
        origin,
        destination: destination as ServerName,
        ...(request.content !== undefined && { content: request.content }),
      },
      by,
    ),
  );
}

function nobody(): never {
  throw new MatrixError("M_UNKNOWN_TOKEN", "Nobody has a token");
}

const refused = { status: 401, body: { errcode: "M_UNAUTHORIZED" } };

describe("a request is let in", () => {
  test("with the name of the server that has signed it", async () => {
    const answer = await send({ body: '{"pdus":[]}' });
    expect(answer).toEqual({
      status: 200,
      body: { requester: origin, params: { txnId: "1" }, body: '{"pdus":[]}' },
    });
  });

  test("without a body, and with its target as it is written", async () => {
    const uri = "/_matrix/federation/v1/event/%24a%2Fb?x=%7e&x=%20+";
    expect(await send({ method: "GET", uri })).toEqual({
      status: 200,
      body: {
        requester: origin,
        params: { eventId: "$a/b" },
        query: [
          ["x", "~"],
          ["x", "  "],
        ],
      },
    });
  });

  test("whatever its body, and however that is written", async () => {
    const bodies = fc.dictionary(fc.string({ unit: "grapheme" }), fc.jsonValue({ maxDepth: 3 }));
    await fc.assert(
      fc.asyncProperty(bodies, fc.constantFrom(undefined, 2), async (body, space) => {
        expect((await send({ body: JSON.stringify(body, null, space) })).status).toBe(200);
      }),
      { numRuns: 40 },
    );
  });

  test("with the numbers of old rooms", async () => {
    const body = '{"pdus":[{"a":1.0,"b":99999999999999999999,"c":1e3}]}';
    const answer = await send({ body });
    expect(answer.body.body).toBe(laxCanonicalJson(parseWireJson(body)));
  });

  test("with an event nested deeper than Canonical JSON goes, for the event's own check to refuse", async () => {
    const body = `{"pdus":[${"[".repeat(2_000)}${"]".repeat(2_000)}]}`;
    expect((await send({ method: "POST", body, signed: { content: body } })).body).toEqual({
      pdus: 1,
    });
  });

  test("from an old server that does not say whom it is for", async () => {
    const header = (it: string) => it.replace(/destination="[^"]*",/, "");
    expect((await send({ body: "{}", header })).status).toBe(200);
  });
});

describe("a request is not let in", () => {
  test.each<[string, Sent]>([
    ["without a header", { header: () => undefined }],
    ["with a token of a user", { header: () => "Bearer token" }],
    ["with a header that is not well formed", { header: (it) => it.replaceAll(",", ";") }],
    ["with another method than was signed", { signed: { method: "POST" } }],
    ["with another target than was signed", { signed: { uri: "/_matrix/federation/v1/send/2" } }],
    [
      "with more of a target than was signed",
      { uri: "/_matrix/federation/v1/send/1?a", signed: { uri: "/_matrix/federation/v1/send/1" } },
    ],
    ["with another body than was signed", { body: '{"a":1}', signed: { content: '{"a":2}' } }],
    ["with a body when none was signed", { signed: { content: undefined } }],
    [
      "without the body that was signed",
      { method: "GET", uri: "/_matrix/federation/v1/event/$a", signed: { content: "{}" } },
    ],
    ["for another server", { signed: { destination: "else.test" } }],
    [
      "for another server that it does not name",
      {
        signed: { destination: "else.test" },
        header: (it) => it.replace(/destination="[^"]*",/, ""),
      },
    ],
    ["in our own name", { header: (it) => it.replace(/origin="[^"]*"/, `origin="${hs1.name}"`) }],
    ["in the name of nobody", { header: (it) => it.replace(/origin="[^"]*"/, 'origin="a b"') }],
    ["by an old key", { by: old }],
    ["by a key that is not published", { by: unpublished }],
    ["by another key with the name of one", { by: signingKeyFromSeed(key.keyId, randomBytes(32)) }],
    ["with a signature that is none", { header: (it) => it.replace(/sig="[^"]*"/, 'sig="!"') }],
    ["with a key of another kind", { header: (it) => it.replace(/key="[^"]*"/, 'key="rsa:1"') }],
  ])("%s", async (_why, sent) => {
    const body = sent.method === "GET" ? {} : { body: "{}" };
    expect(await send({ ...body, ...sent })).toMatchObject(refused);
  });

  test("in the name of a server that cannot be reached", async () => {
    const header = (it: string) => it.replace(/origin="[^"]*"/, 'origin="hs3.test:1"');
    expect(await send({ body: "{}", header })).toMatchObject(refused);
  });

  test("whatever single byte of its body has changed", async () => {
    const text = '{"a":"some text","b":12345}';
    await fc.assert(
      fc.asyncProperty(
        fc.nat(text.length - 1),
        fc.constantFrom("x", "7", " "),
        async (at, char) => {
          const changed = text.slice(0, at) + char + text.slice(at + 1);
          fc.pre(changed !== text && isJson(changed));
          const answer = await send({ body: changed, signed: { content: text } });
          expect(answer).toMatchObject(refused);
        },
      ),
      { numRuns: 60 },
    );
  });
});

function isJson(text: string): boolean {
  try {
    JSON.parse(text);
    return true;
  } catch {
    return false;
  }
}

test.each(["{", "\0", '{"a":}'])("a body that is no JSON is said to be none: %j", async (body) => {
  const answer = await send({ body, signed: { content: "{}" } });
  expect(answer).toMatchObject({ status: 400, body: { errcode: "M_NOT_JSON" } });
});

test("a body of another form than the route's is refused after its signature", async () => {
  expect(await send({ body: "[]" })).toMatchObject({
    status: 400,
    body: { errcode: "M_BAD_JSON" },
  });
});

test("no server is let in where there is no federation", async () => {
  const off = await federation.open({
    host: "hs2.test",
    variables: { ARCHIPEL_FEDERATION_ENABLED: "false" },
  });
  const request = { method: "GET", uri: "/", authorization: "X-Matrix" };
  await expect(checkOrigin(off.hs, request)).rejects.toMatchObject({ errcode: "M_FORBIDDEN" });
});
