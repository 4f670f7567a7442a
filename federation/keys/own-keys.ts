import type { Homeserver } from "#src/homeserver/homeserver.ts";
import type { UnixMs } from "#src/homeserver/position.ts";
import { unpaddedBase64 } from "#src/kit/base64.ts";
import type { CanonicalObject } from "#src/kit/canonical-json.ts";
import {
  type KeyId,
  parseVerifyKey,
  signingKeyFromSeed,
  type SigningKey,
  signJson,
} from "#src/kit/signed-json.ts";
import type { PublishedKey } from "./key-document.ts";

/** How long others may believe what we say of our keys: so long does it take until all know a new one. */
const VALID_MS = 24 * 60 * 60 * 1000;

type OwnKey = SigningKey & {
  /** When it was, or will be, no longer valid. */
  readonly expiredMs: UnixMs | undefined;
};

/**
 * What this server publishes of its keys: those that it signs with, and those that it has signed with.
 *
 * @spec server-server-api#publishing-keys
 */
export async function ownKeyDocument(hs: Homeserver): Promise<CanonicalObject> {
  const now = hs.now();
  const keys = await readOwnKeys(hs);
  const isOld = (key: OwnKey) => key.expiredMs !== undefined && key.expiredMs <= now;
  const current = keys.filter((it) => !isOld(it));
  const document: CanonicalObject = {
    server_name: hs.name,
    valid_until_ts: now + VALID_MS,
    verify_keys: Object.fromEntries(
      current.map((it) => [it.keyId, { key: unpaddedBase64(it.publicKey) }]),
    ),
    old_verify_keys: Object.fromEntries(
      keys
        .filter(isOld)
        .map((it) => [
          it.keyId,
          { key: unpaddedBase64(it.publicKey), expired_ts: it.expiredMs ?? now },
        ]),
    ),
  };
  return current.reduce((signed, key) => signJson(signed, hs.name, key), document);
}

/** Our own keys as another server would know them: for our own events that come back to us. */
export async function ownPublishedKeys(hs: Homeserver): Promise<readonly PublishedKey[]> {
  const now = hs.now();
  return (await readOwnKeys(hs)).flatMap((it) => {
    const base64 = unpaddedBase64(it.publicKey);
    const key = parseVerifyKey(it.keyId, base64);
    if (!key) return [];
    const isOld = it.expiredMs !== undefined && it.expiredMs <= now;
    return [{ ...key, base64, isOld, validUntilTs: it.expiredMs ?? now + VALID_MS }];
  });
}

async function readOwnKeys(hs: Homeserver): Promise<readonly OwnKey[]> {
  const rows = await hs.sql<{ key_id: KeyId; seed: Uint8Array; expired_ms: UnixMs | null }[]>`
    select key_id, seed, expired_ms from signing_keys order by created_ms desc`;
  return rows.map((row) => ({
    ...signingKeyFromSeed(row.key_id, row.seed),
    expiredMs: row.expired_ms ?? undefined,
  }));
}
