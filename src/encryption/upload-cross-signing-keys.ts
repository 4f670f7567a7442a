import { type InteractiveCall, requireUserInteractive } from "#src/auth/user-interactive.ts";
import type { Homeserver } from "#src/homeserver/homeserver.ts";
import { MatrixError } from "#src/kit/matrix-error.ts";
import type { Requester } from "#src/kit/requester.ts";
import { write } from "#src/streams/write.ts";
import { readCrossSigningKeys } from "./cross-signing-keys.ts";
import { encryptionStream } from "./encryption-stream.ts";
import type { CrossSigningUpload } from "./key-schemas.ts";
import { type CrossSigningRow, crossSigningKeysOf } from "./queries-cross-signing.ts";
import { findDevices } from "./queries-keys.ts";
import { areFirstOrSame } from "./store-cross-signing.ts";

/**
 * Publishes the requester's cross-signing keys. The first ones, and the same ones again, need no more
 * than the access token; others do.
 *
 * @throws MatrixError 401 as `requireUserInteractive`; M_FORBIDDEN if a key is called as a device is;
 *   otherwise as `readCrossSigningKeys`.
 * @spec client-server-api#post_matrixclientv3keysdevice_signingupload
 */
export async function uploadCrossSigningKeys(
  hs: Homeserver,
  call: InteractiveCall & { readonly requester: Requester; readonly body: CrossSigningUpload },
): Promise<void> {
  const { requester, body } = call;
  const { userKey } = requester;
  const rows = await crossSigningKeysOf(hs.sql, [userKey]);
  const held = new Map<string, CrossSigningRow>(rows.map((it) => [it.usage, it]));
  const keys = await readCrossSigningKeys(requester, body, held);
  const names = keys.map((it) => ({ userKey, deviceId: it.publicKey }));
  if ((await findDevices(hs.sql, names)).length > 0) {
    throw new MatrixError("M_FORBIDDEN", "A device has the ID of this key");
  }
  const mayReplace = !areFirstOrSame(held, keys);
  if (mayReplace) {
    await requireUserInteractive(hs, call, { operation: "uploadCrossSigningKeys" });
  }
  await write(hs, encryptionStream, { kind: "cross-signing", userKey, keys, mayReplace });
}
