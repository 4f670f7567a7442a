import { randomBytes } from "node:crypto";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import type { Homeserver } from "#src/homeserver/homeserver.ts";
import { unpaddedBase64 } from "#src/kit/base64.ts";
import type { ServerName } from "#src/kit/identifiers.ts";
import { signingKeyFromSeed, signJson } from "#src/kit/signed-json.ts";
import { testHomeservers, type TestHomeservers } from "#src/testing.ts";
import { readKeyDocument } from "./key-document.ts";
import { readDocuments, storeDocuments } from "./queries-keys.ts";

let servers: TestHomeservers;
let hs: Homeserver;

beforeAll(async () => {
  servers = await testHomeservers();
  ({ hs } = servers);
});
afterAll(async () => await servers.close());

/** Has a server publish a new key and many old ones, and what else it likes to say. */
async function publish(name: ServerName, prefix: string, padding = ""): Promise<void> {
  const signing = signingKeyFromSeed(`ed25519:${prefix}`, randomBytes(32));
  const key = unpaddedBase64(signing.publicKey);
  const old = Array.from({ length: 149 }, (_, index) => [
    `ed25519:${prefix}${index}`,
    { key, expired_ts: 1 },
  ]);
  const said = {
    server_name: name,
    valid_until_ts: Date.now() + 1_000_000,
    verify_keys: { [signing.keyId]: { key } },
    old_verify_keys: Object.fromEntries(old),
    padding,
  };
  const document = await readKeyDocument(signJson(said, name, signing), name);
  if (!document) throw new Error("this is no such document");
  await storeDocuments(hs, [document], "server");
}

const kept = async (name: ServerName) =>
  await hs.sql<{ key_id: string; document: string }[]>`
    select key_id, document from server_keys where server_name = ${name}`;

describe("of a server that publishes very much", () => {
  test("no more than so many keys are known, those that it has published last", async () => {
    const name = "many.test" as ServerName;
    for (const prefix of ["a", "b", "c"]) {
      await publish(name, prefix);
      // As if it had been a moment ago.
      await hs.sql`update server_keys set fetched_ms = fetched_ms - 1000 where server_name = ${name}`;
    }
    const ids = (await kept(name)).map((it) => it.key_id);
    expect(ids).toHaveLength(200);
    expect(ids.filter((it) => it.startsWith("ed25519:c"))).toHaveLength(150);
    expect(ids.filter((it) => it.startsWith("ed25519:a"))).toEqual([]);
  });

  test("little is stored, and less is told", async () => {
    const name = "long.test" as ServerName;
    await publish(name, "long", "x".repeat(40_000));
    const rows = await kept(name);
    expect(rows.map((it) => it.key_id)).toContain("ed25519:long");
    expect(rows.reduce((sum, it) => sum + it.document.length, 0)).toBeLessThan(2_100_000);
    await hs.sql`
      update server_keys set document = document || repeat('x', 1000000) where server_name = ${name}`;
    expect(rows.length).toBeGreaterThan(30);
    const told = await readDocuments(hs, [name]);
    expect(told.length).toBeGreaterThan(0);
    expect(told.length).toBeLessThan(20);
  });
});
