import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { unpaddedBase64 } from "#src/kit/base64.ts";
import type { CanonicalObject } from "#src/kit/canonical-json.ts";
import { signJson } from "#src/kit/signed-json.ts";
import { type FederatedHomeserver, testFederation } from "../testing.ts";
import { documentOf, honest, newKey, publisher } from "./testing.ts";
import { verifyKeysOf, verifyKeysOfMany } from "./verify-keys.ts";

const federation = await testFederation();
let hs2: FederatedHomeserver;
beforeAll(async () => {
  hs2 = await federation.open({ host: "hs2.test" });
});
afterAll(async () => await federation.close());

describe("a notary", () => {
  /** A homeserver of ours that trusts another as its notary. */
  async function trusting(notary: string) {
    return await federation.open({
      host: "hs3.test",
      variables: { ARCHIPEL_FEDERATION_TRUSTED_KEY_SERVERS: notary },
    });
  }

  test("tells of a server that is down what it said when it was not", async () => {
    const server = await honest(federation);
    const { keyId } = server.key;
    await verifyKeysOf(hs2.hs, server.name, [keyId], Date.now());
    server.status = 500;
    const reader = await trusting(hs2.name);
    const found = await verifyKeysOf(reader.hs, server.name, [keyId], Date.now());
    expect(found.get(keyId)?.base64).toBe(unpaddedBase64(server.key.publicKey));
  });

  test("is asked once about all that do not answer", async () => {
    const servers = await Promise.all([1, 2, 3].map(async () => await publisher(federation)));
    for (const it of servers) it.status = 500;
    const notary = await publisher(federation, "notary.test");
    notary.status = 404;
    const reader = await trusting(notary.name);
    const questions = servers.map((it) => ({ server: it.name, keyIds: ["ed25519:a"], validAt: 0 }));
    await verifyKeysOfMany(reader.hs, questions);
    expect(notary.asked).toBe(1);
    await verifyKeysOfMany(reader.hs, questions);
    expect(notary.asked).toBe(1);
  });

  test.each(["nobody", "the server alone", "the notary alone", "a stranger"])(
    "is not believed when what it tells is signed by %s",
    async (signer) => {
      const server = await publisher(federation);
      server.status = 500;
      const notary = await publisher(federation, "notary.test");
      const [key, notaryKey] = [newKey(), newKey("n")];
      const bare = documentOf({ name: server.name, keys: [key] });
      const self = signJson(bare, server.name, key);
      const told = new Map<string, CanonicalObject>([
        ["nobody", bare],
        ["the server alone", self],
        ["the notary alone", signJson(bare, notary.name, notaryKey)],
        ["a stranger", signJson(self, notary.name, newKey("n"))],
      ]).get(signer);
      const reader = await trusting(notary.name);
      notary.says = signJson(
        documentOf({ name: notary.name, keys: [notaryKey] }),
        notary.name,
        notaryKey,
      );
      await verifyKeysOf(reader.hs, notary.name, [notaryKey.keyId], 0);
      notary.says = { server_keys: [told ?? {}] };
      expect((await verifyKeysOf(reader.hs, server.name, [key.keyId], 0)).size).toBe(0);
    },
  );
});
