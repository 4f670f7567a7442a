import { createPublicKey, verify } from "node:crypto";
import { describe, expect, test } from "vitest";
import { refusal } from "../client-server/client.ts";
import { canonicalText } from "../client-server/signing.ts";
import { E, federatingHomeserver, good, HS, openPeer, V1 } from "./peer.ts";
import type { ServerBody, ServerKeys } from "./server-answers.ts";

const hs = await federatingHomeserver();
const peer = await openPeer(hs);

/** Whether a document is signed by a server with one of its keys. */
function isSigned(
  document: ServerKeys,
  server: string,
  verifyKeys: ServerKeys["verify_keys"],
): boolean {
  const { signatures, ...signed } = document;
  return Object.entries(verifyKeys).some(([keyId, { key }]) => {
    const signature = signatures[server]?.[keyId];
    if (signature === undefined) return false;
    const x = Buffer.from(key, "base64").toString("base64url");
    const publicKey = createPublicKey({ key: { kty: "OKP", crv: "Ed25519", x }, format: "jwk" });
    const text = Buffer.from(canonicalText(signed));
    return verify(null, text, publicKey, Buffer.from(signature, "base64"));
  });
}

const ownKeys = async () => good(await hs.request<ServerKeys>("GET", "/_matrix/key/v2/server"));

/** @spec server-server-api#get_matrixkeyv2server */
describe("getServerKey", () => {
  test("publishes the keys, signed by them, for some time", async () => {
    const document = await ownKeys();
    expect(document.server_name).toBe(HS);
    expect(document.valid_until_ts).toBeGreaterThan(Date.now() + 3_600_000);
    expect(isSigned(document, HS, document.verify_keys)).toBe(true);
    expect(document.old_verify_keys).toEqual({});
  });

  test("is found where old servers look for it", async () => {
    const answer = await hs.request<ServerKeys>("GET", "/_matrix/key/v2/server/ed25519%3Aany");
    expect(good(answer).verify_keys).toEqual((await ownKeys()).verify_keys);
  });
});

/** What another server says of its keys, with this one's signature below it. */
async function expectVouched(server_keys: readonly ServerKeys[]): Promise<void> {
  expect(server_keys.map((it) => it.server_name)).toEqual([peer.name]);
  const [document] = server_keys;
  if (!document) throw new Error("there is none");
  expect(Object.keys(document.verify_keys)).toEqual(["ed25519:1"]);
  expect(isSigned(document, peer.name, document.verify_keys)).toBe(true);
  expect(isSigned(document, HS, (await ownKeys()).verify_keys)).toBe(true);
}

/** @spec server-server-api#get_matrixkeyv2queryservername */
describe("perspectivesKeyQuery", () => {
  const ask = async (rest: string) =>
    await hs.request<ServerBody>("GET", `/_matrix/key/v2/query/${rest}`);

  test("vouches for another server's keys", async () => {
    await expectVouched(good(await ask(E(peer.name))).server_keys);
    const later = `?minimum_valid_until_ts=${Date.now() + 1000}`;
    await expectVouched(good(await ask(E(peer.name) + later)).server_keys);
  });

  test("says nothing of who cannot be reached, and takes no nonsense", async () => {
    expect(good(await ask(E("127.0.0.1:9"))).server_keys).toEqual([]);
    expect(await ask(`${E(peer.name)}?minimum_valid_until_ts=x`)).toMatchObject(
      refusal(400, "M_INVALID_PARAM"),
    );
    const odd = await ask(E("no server"));
    expect(odd.status === 400 || odd.body.server_keys.length === 0).toBe(true);
  });
});

/** @spec server-server-api#post_matrixkeyv2query */
describe("bulkPerspectivesKeyQuery", () => {
  const post = async (body: object) =>
    await hs.request<ServerBody>("POST", "/_matrix/key/v2/query", { body });

  test("vouches for the keys of several servers", async () => {
    const criteria = { "ed25519:1": { minimum_valid_until_ts: Date.now() } };
    const server_keys = { [peer.name]: criteria, "127.0.0.1:9": {} };
    await expectVouched(good(await post({ server_keys })).server_keys);
    const whole = good(await post({ server_keys: { [peer.name]: {} } }));
    await expectVouched(whole.server_keys);
  });

  test("takes no nonsense", async () => {
    for (const body of [{}, { server_keys: [] }, { server_keys: { x: 1 } }]) {
      expect(await post(body)).toMatchObject(refusal(400, "M_BAD_JSON"));
    }
  });
});

/** @spec server-server-api#get_matrixfederationv1version */
describe("getVersion", () => {
  test("says what this server is, to anybody", async () => {
    const { server } = good(await hs.request("GET", `${V1}/version`));
    expect(server).toEqual({ name: expect.any(String), version: expect.any(String) });
  });
});

/** @spec server-server-api#get.wellknownmatrixserver */
describe("getWellKnown", () => {
  test("says where other servers reach this one", async () => {
    const answer = good(await hs.request("GET", "/.well-known/matrix/server"));
    expect(answer).toEqual({ "m.server": "matrix.hs.test:443" });
  });
});
