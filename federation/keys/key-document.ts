import { z } from "zod";
import { canonicalJson, type CanonicalObject } from "#src/kit/canonical-json.ts";
import type { ServerName } from "#src/kit/identifiers.ts";
import {
  type KeyId,
  parseVerifyKey,
  type VerifyKey,
  verifySignedJson,
} from "#src/kit/signed-json.ts";
import { mapOf } from "../client/answer-schemas.ts";

/** No server has more keys than this, new and old. */
const MOST_KEYS = 200;

/** How many characters a server may have us store at a time: with each of its keys, what it has published. */
const MOST_STORED = 2_000_000;

const Document = z.object({
  server_name: z.string(),
  valid_until_ts: z.int().nonnegative(),
  verify_keys: mapOf(z.object({ key: z.string().max(100) }), MOST_KEYS),
  old_verify_keys: mapOf(
    z.object({ key: z.string().max(100), expired_ts: z.int().nonnegative() }),
    MOST_KEYS,
  ).default(() => new Map()),
});

/** One key of a server, as it published it. */
export type PublishedKey = VerifyKey & {
  /** The 32 bytes in Base64. */
  readonly base64: string;
  /** Whether it no longer signs: then it verifies events of its time, and no requests. */
  readonly isOld: boolean;
  /** Until when it is valid (`valid_until_ts`), or was (`expired_ts`). */
  readonly validUntilTs: number;
};

/** A server's keys that it has signed itself. */
export type KeyDocument = {
  readonly serverName: ServerName;
  readonly validUntilTs: number;
  readonly keys: readonly PublishedKey[];
  /** What was published, with its signatures, in Canonical JSON. */
  readonly text: string;
};

/**
 * Reads what a server publishes of its keys. Keys of kinds that we do not know are left out.
 *
 * @param serverName whose it must be.
 * @returns undefined if it is another's, or not signed by one of the keys that it says to sign with.
 * @spec server-server-api#get_matrixkeyv2server
 */
export async function readKeyDocument(
  document: CanonicalObject,
  serverName: ServerName,
): Promise<KeyDocument | undefined> {
  const parsed = Document.safeParse(document);
  if (!parsed.success || parsed.data.server_name !== serverName) return undefined;
  const { verify_keys, old_verify_keys, valid_until_ts: validUntilTs } = parsed.data;

  const current = published(verify_keys, () => ({ isOld: false, validUntilTs }));
  const signed = await Promise.all(
    current.map((key) => verifySignedJson(document, serverName, key)),
  );
  if (!signed.includes(true)) return undefined;
  const ids = new Set<string>(current.map((it) => it.keyId));
  const old = published(old_verify_keys, ({ expired_ts }) => ({
    isOld: true,
    validUntilTs: expired_ts,
  })).filter((it) => !ids.has(it.keyId));
  // What was verified has Canonical JSON.
  const text = canonicalJson(document);
  const keys = [...current, ...old].slice(0, Math.ceil(MOST_STORED / text.length));
  return { serverName, validUntilTs, keys, text };
}

function published<T extends { readonly key: string }>(
  keys: ReadonlyMap<string, T>,
  about: (key: T) => Pick<PublishedKey, "isOld" | "validUntilTs">,
): PublishedKey[] {
  return [...keys].flatMap(([keyId, key]) => {
    const known = parseVerifyKey(keyId, key.key);
    return known && isShort(keyId) ? [{ ...known, base64: key.key, ...about(key) }] : [];
  });
}

function isShort(keyId: string): keyId is KeyId {
  return keyId.length <= 255 && !keyId.includes("\0");
}
