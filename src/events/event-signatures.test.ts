import { describe, expect, test } from "vitest";
import type { ServerName } from "#src/kit/identifiers.ts";
import { signingKeyFromSeed } from "#src/kit/signed-json.ts";
import { verifyKeyOf } from "#src/kit/testing.ts";
import { signedTextOf } from "./event-hash.ts";
import {
  keyIsValidFor,
  requiredSignatures,
  signatureVerifier,
  signEvent,
  signingKeyIdsOf,
} from "./event-signatures.ts";
import { event, rulesOf } from "./testing.ts";

function servers(fields: Parameters<typeof event>[0], version: string) {
  return requiredSignatures(event(fields), rulesOf(version)).map((it) => [it.because, it.server]);
}

describe("requiredSignatures", () => {
  test("are the sender's, and until version 2 those of the ID's server", () => {
    const message = { sender: "@a:hs1.test", event_id: "$x:hs2.test:8448" } as const;
    expect(servers(message, "2")).toEqual([
      ["sender", "hs1.test"],
      ["event_id", "hs2.test:8448"],
    ]);
    expect(servers(message, "3")).toEqual([["sender", "hs1.test"]]);
    expect(servers({ ...message, event_id: "$x:hs1.test" }, "1")).toHaveLength(1);
  });

  test("are not the sender's for the invitation of a third party", () => {
    const content = { membership: "invite", third_party_invite: {} };
    const invite = { type: "m.room.member", state_key: "@b:hs2.test", content } as const;
    expect(servers(invite, "12")).toEqual([]);
    expect(servers({ ...invite, content: { membership: "invite" } }, "12")).toHaveLength(1);
    expect(servers({ ...invite, content: { ...content, membership: "join" } }, "12")).toHaveLength(
      1,
    );
    expect(servers({ ...invite, event_id: "$x:hs2.test" }, "1")).toEqual([
      ["event_id", "hs2.test"],
    ]);
  });

  test("are those of a restricted join's authorising server, since version 8", () => {
    const content = { membership: "join", join_authorised_via_users_server: "@c:hs3.test" };
    const join = { type: "m.room.member", state_key: "@a:hs1.test", content } as const;
    expect(servers(join, "7")).toEqual([["sender", "hs1.test"]]);
    expect(servers(join, "8")).toEqual([
      ["sender", "hs1.test"],
      ["join_authorised_via_users_server", "hs3.test"],
    ]);
    expect(servers({ ...join, type: "m.room.message" }, "8")).toHaveLength(1);
  });
});

describe("signatureVerifier", () => {
  test("verifies each of an event's signatures, and no other", async () => {
    const rules = rulesOf("12");
    const [one, two] = ["hs1.test", "hs2.test"] as ServerName[] as [ServerName, ServerName];
    const keyOf = (byte: number) =>
      signingKeyFromSeed(`ed25519:${String(byte)}`, new Uint8Array(32).fill(byte));
    const [key, other] = [keyOf(1), keyOf(2)];
    const [verifyKey, otherVerifyKey] = [verifyKeyOf(key), verifyKeyOf(other)];
    const wire = { type: "m.room.message", content: { body: "x" }, depth: 1 };
    const signed = signEvent(signEvent(wire, rules, one, key), rules, two, other);

    const verify = signatureVerifier(signed, signedTextOf(signed, rules));
    expect(await verify(one, verifyKey)).toBe(true);
    expect(await verify(two, otherVerifyKey)).toBe(true);
    expect(await verify(one, otherVerifyKey)).toBe(false);
    expect(await verify(two, { ...verifyKey, keyId: "ed25519:2" })).toBe(false);

    const signatures = signed["signatures"] as never;
    expect(signingKeyIdsOf(signatures, two)).toEqual(["ed25519:2"]);
    expect(signingKeyIdsOf(signatures, "constructor" as ServerName)).toEqual([]);
  });
});

describe("keyIsValidFor", () => {
  const now = 1_700_000_000_000;
  const week = 7 * 24 * 3600 * 1000;

  test.each([
    { what: "valid until then", sent: now, until: now, valid: true },
    { what: "expired before", sent: now, until: now - 1, valid: false },
    {
      what: "valid for a year, for an event of next week",
      sent: now + week,
      until: now * 2,
      valid: true,
    },
    {
      what: "valid for a year, for a later event",
      sent: now + week + 1,
      until: now * 2,
      valid: false,
    },
  ])("a key $what: $valid", ({ sent, until, valid }) => {
    expect(keyIsValidFor(rulesOf("5"), sent, until, now)).toBe(valid);
    expect(keyIsValidFor(rulesOf("4"), sent, until, now)).toBe(true);
  });
});
