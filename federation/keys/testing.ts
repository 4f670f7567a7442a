/** Servers that publish keys as a test says. For tests alone. */

import { randomBytes } from "node:crypto";
import { unpaddedBase64 } from "#src/kit/base64.ts";
import type { CanonicalObject } from "#src/kit/canonical-json.ts";
import type { ServerName } from "#src/kit/identifiers.ts";
import { type SigningKey, signingKeyFromSeed, signJson } from "#src/kit/signed-json.ts";
import type { TestFederation } from "../testing.ts";

/** A day, in milliseconds. */
export const DAY = 86_400_000;

/** A new key of a server. */
export function newKey(version = "k"): SigningKey {
  return signingKeyFromSeed(`ed25519:${version}`, randomBytes(32));
}

type Published = { name: string; keys: SigningKey[]; old?: [SigningKey, number][]; until?: number };

/** What a server publishes, signed by nobody yet. */
export function documentOf({
  name,
  keys,
  old = [],
  until = Date.now() + DAY,
}: Published): CanonicalObject {
  const key = (it: SigningKey) => unpaddedBase64(it.publicKey);
  return {
    server_name: name,
    valid_until_ts: until,
    verify_keys: Object.fromEntries(keys.map((it) => [it.keyId, { key: key(it) }])),
    old_verify_keys: Object.fromEntries(
      old.map(([it, expired_ts]) => [it.keyId, { key: key(it), expired_ts }]),
    ),
  };
}

/** A server that publishes what the test says. */
export async function publisher(federation: TestFederation, host = "liar.test") {
  const it = { says: {} as CanonicalObject, asked: 0, status: 200, name: "" as ServerName };
  it.name = (await federation.pretend(host, (_request, response) => {
    it.asked++;
    response.writeHead(it.status).end(JSON.stringify(it.says));
  })) as ServerName;
  return it;
}

/** Such a server with one key, that publishes it as it should. */
export async function honest(federation: TestFederation) {
  const server = await publisher(federation);
  const key = newKey();
  server.says = signJson(documentOf({ name: server.name, keys: [key] }), server.name, key);
  return Object.assign(server, { key });
}
