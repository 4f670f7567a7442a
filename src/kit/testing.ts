/** For tests alone. */

import { unpaddedBase64 } from "./base64.ts";
import { parseVerifyKey, type SigningKey, type VerifyKey } from "./signed-json.ts";

/**
 * What must be there for the test to go on.
 *
 * @throws Error if it is not
 */
export function present<T>(it: T): NonNullable<T> {
  if (it === undefined || it === null) throw new Error("What the test goes on with is not there.");
  return it;
}

/** The key by which is verified what another has signed. */
export function verifyKeyOf({ keyId, publicKey }: SigningKey): VerifyKey {
  return present(parseVerifyKey(keyId, unpaddedBase64(publicKey)));
}
