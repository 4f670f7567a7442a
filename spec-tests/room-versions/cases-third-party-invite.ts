import { unpaddedBase64 } from "#src/kit/base64.ts";
import type { CanonicalObject } from "#src/kit/canonical-json.ts";
import type { ServerName } from "#src/kit/identifiers.ts";
import { signingKeyFromSeed, signJson } from "#src/kit/signed-json.ts";
import { ALICE, BOB, CAROL, type Case, member, type Setup, versions } from "./room.ts";

const ALL = versions(1);
const KEY = signingKeyFromSeed("ed25519:0", new Uint8Array(32).fill(3));
const OTHER_KEY = signingKeyFromSeed("ed25519:0", new Uint8Array(32).fill(4));
const PUBLIC_KEY = unpaddedBase64(KEY.publicKey);
const SIGNED = { mxid: CAROL, token: "abc" };

function signed(fields: CanonicalObject, key = KEY): CanonicalObject {
  return signJson(fields, "identity.test" as ServerName, key);
}

/** A room where Alice has invited whoever has some address. */
function invited(content: CanonicalObject = { public_key: PUBLIC_KEY }, extra: Setup = {}): Setup {
  const invite = { type: "m.room.third_party_invite", state_key: "abc", sender: ALICE, content };
  return { others: [invite], ...extra };
}

function accepted(third_party_invite: CanonicalObject | string, by: string = ALICE) {
  return member(CAROL, "invite", { by, third_party_invite });
}

/** @spec rooms/v12#authorisation-rules 5.4.1 */
export const THIRD_PARTY_INVITE: readonly Case[] = [
  {
    rule: "5.4.1.1",
    versions: ALL,
    allowed: false,
    what: "of a banned user",
    given: invited(undefined, { members: { [CAROL]: "ban" } }),
    when: accepted({ signed: signed(SIGNED) }),
  },
  ...[{}, "text", { signed: "text" }].map((invite) => ({
    rule: "5.4.1.2" as const,
    versions: ALL,
    allowed: false,
    what: `with ${JSON.stringify(invite)}`,
    given: invited(),
    when: accepted(invite),
  })),
  ...[{ mxid: CAROL }, { token: "abc" }, { mxid: CAROL, token: 5 }].map((fields) => ({
    rule: "5.4.1.3" as const,
    versions: ALL,
    allowed: false,
    what: `with no more signed than ${JSON.stringify(fields)}`,
    given: invited(),
    when: accepted({ signed: signed(fields) }),
  })),
  {
    rule: "5.4.1.4",
    versions: ALL,
    allowed: false,
    what: "of another than the one who is signed for",
    given: invited(),
    when: accepted({ signed: signed({ ...SIGNED, mxid: BOB }) }),
  },
  {
    rule: "5.4.1.5",
    versions: ALL,
    allowed: false,
    what: "for another token",
    given: invited(),
    when: accepted({ signed: signed({ ...SIGNED, token: "abcd" }) }),
  },
  {
    rule: "5.4.1.6",
    versions: ALL,
    allowed: false,
    what: "by another than who had invited",
    given: invited(undefined, { members: { [BOB]: "join" } }),
    when: accepted({ signed: signed(SIGNED) }, BOB),
  },
  ...[
    { public_key: PUBLIC_KEY },
    { public_key: unpaddedBase64(OTHER_KEY.publicKey), public_keys: [{ public_key: PUBLIC_KEY }] },
    { public_keys: [5, {}, { public_key: "no key" }, { public_key: `${PUBLIC_KEY}=` }] },
  ].map((content) => ({
    rule: "5.4.1.7" as const,
    versions: ALL,
    allowed: true,
    what: `signed by a key of ${Object.keys(content).join(" and ")}`,
    given: invited(content),
    when: accepted({ signed: signed(SIGNED) }),
  })),
  {
    rule: "5.4.1.7",
    versions: ALL,
    allowed: true,
    what: "by one who has left since",
    given: invited(undefined, { members: { [ALICE]: "leave" } }),
    when: accepted({ signed: signed(SIGNED) }),
  },
  ...[
    signed(SIGNED, OTHER_KEY),
    { ...signed(SIGNED), added: "later" },
    SIGNED,
    { ...SIGNED, signatures: "none" },
  ].map((fields, index) => ({
    rule: "5.4.1.8" as const,
    versions: ALL,
    allowed: false,
    what: `without a valid signature (${String(index + 1)})`,
    given: invited(),
    when: accepted({ signed: fields }),
  })),
];
