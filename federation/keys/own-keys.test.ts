import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { openSigningKey, rotateSigningKey } from "#src/homeserver/signing-key.ts";
import { unpaddedBase64 } from "#src/kit/base64.ts";
import { canonicalJson } from "#src/kit/canonical-json.ts";
import { asking } from "#src/testing-http.ts";
import type { ServerKeys } from "../../spec-tests/server-server/server-answers.ts";
import { type FederatedHomeserver, testFederation } from "../testing.ts";
import { DAY } from "./testing.ts";
import { verifyKeysOf } from "./verify-keys.ts";

const federation = await testFederation();
let hs1: FederatedHomeserver;
let hs2: FederatedHomeserver;
beforeAll(async () => {
  hs1 = await federation.open({ host: "hs1.test" });
  hs2 = await federation.open({ host: "hs2.test" });
});
afterAll(async () => await federation.close());

describe("our own keys", () => {
  test("are published with our signature, for a day", async () => {
    const { body } = await asking(hs1.hs)<ServerKeys>("GET", "/_matrix/key/v2/server");
    const { keyId, publicKey } = hs1.hs.signingKey;
    expect(body).toMatchObject({
      server_name: hs1.name,
      verify_keys: { [keyId]: { key: unpaddedBase64(publicKey) } },
      old_verify_keys: {},
    });
    expect(body.valid_until_ts - Date.now()).toBeGreaterThan(DAY / 2);
    // As another of our servers judges it.
    const known = await verifyKeysOf(hs2.hs, hs1.name, [keyId], Date.now());
    expect(known.get(keyId)).toMatchObject({ isOld: false, base64: unpaddedBase64(publicKey) });
  });

  test("are sent in the form that is signed", async () => {
    const { response, body } = await asking(hs1.hs)<ServerKeys>("GET", "/_matrix/key/v2/server");
    expect(await response.text()).toBe(canonicalJson(body));
  });

  test("are found under the path that old servers know", async () => {
    const { status, body } = await asking(hs1.hs)("GET", "/_matrix/key/v2/server/ed25519%3Aauto");
    expect(status).toBe(200);
    expect(body.server_name).toBe(hs1.name);
  });

  test("are known to us as to others, when our own events come back", async () => {
    const { keyId } = hs1.hs.signingKey;
    expect((await verifyKeysOf(hs1.hs, hs1.name, [keyId], 0)).has(keyId)).toBe(true);
  });

  test("can be replaced while processes run", async () => {
    const server = await federation.open({ host: "hs3.test" });
    const { hs } = server;
    const log = hs.log;
    const before = hs.signingKey.keyId;
    const [one, two] = await Promise.all(
      [1, 2].map(async () => await openSigningKey(hs.sql, Date.now, { log, everyMs: 20 })),
    );
    expect(one?.current().keyId).toBe(before);

    const next = await rotateSigningKey(hs.sql, Date.now());
    await expect.poll(() => [one?.current().keyId, two?.current().keyId]).toEqual([next, next]);
    // Both are valid for a while, and both sign.
    const during = (await asking(hs)<ServerKeys>("GET", "/_matrix/key/v2/server")).body;
    expect(Object.keys(during.verify_keys).toSorted()).toEqual([before, next].toSorted());
    expect(Object.keys(during.signatures[server.name] ?? {})).toHaveLength(2);

    // Then the old one is old, and says since when.
    const later = { ...hs, now: () => Date.now() + 3_600_000 };
    const after = (await asking(later)<ServerKeys>("GET", "/_matrix/key/v2/server")).body;
    expect(Object.keys(after.verify_keys)).toEqual([next]);
    expect(after.old_verify_keys[before]?.expired_ts).toBeLessThan(later.now());
    for (const it of [one, two]) it?.close();
  });

  test("are two only for a while, however many replace them at once", async () => {
    const { sql } = hs2.hs;
    await Promise.all([1, 2, 3].map(async () => await rotateSigningKey(sql, Date.now())));
    const inUse = await sql`select key_id from signing_keys where expired_ms is null`;
    expect(inUse).toHaveLength(1);
  });
});
