import { canonicalJson, type CanonicalObject, NotCanonicalError } from "#src/kit/canonical-json.ts";
import type { UserId } from "#src/kit/identifiers.ts";
import { MatrixError } from "#src/kit/matrix-error.ts";
import { parseVerifyKey, signatureBy, verifySignedJson } from "#src/kit/signed-json.ts";

/** What a signature on a key object covers, as text: two that are equal here are the same keys. */
export function signedContent(keys: object): string {
  const {
    signatures: _,
    unsigned: __,
    ...signed
  } = keys as { signatures?: unknown; unsigned?: unknown };
  return canonicalJson(signed);
}

/** The most that a key may take, with its signatures: it is given to whoever asks, with many others. */
const MOST_BYTES = 65_536;

/**
 * Refuses a key, or an object with keys, that nobody could sign or that is absurdly large.
 *
 * @throws MatrixError M_BAD_JSON if it has no Canonical JSON, M_TOO_LARGE.
 */
export function requireKey(key: unknown): void {
  if (Buffer.byteLength(canonicalText(key)) > MOST_BYTES) {
    throw new MatrixError("M_TOO_LARGE", `A key has at most ${MOST_BYTES} bytes`);
  }
}

function canonicalText(key: unknown): string {
  try {
    return canonicalJson(key);
  } catch (error) {
    if (!(error instanceof NotCanonicalError)) throw error;
    throw new MatrixError("M_BAD_JSON", `Not Canonical JSON at ${error.message}`);
  }
}

/** Who is said to have signed, and with which public key in Base64. */
export type Signer = {
  readonly userId: UserId;
  readonly keyId: string;
  readonly publicKey: string;
};

/** The signature that a signer's key has on an object, if one is there. */
export function signatureOf(keys: object, { userId, keyId }: Signer): string | undefined {
  return signatureBy((keys as { signatures?: unknown }).signatures, userId, keyId);
}

/** Whether a signer has signed an object. False, too, if there is no signature. */
export async function isSignedBy(keys: object, signer: Signer): Promise<boolean> {
  const key = parseVerifyKey(signer.keyId, signer.publicKey);
  return key !== undefined && (await verifySignedJson(keys as CanonicalObject, signer.userId, key));
}
