import { canonicalJson } from "#src/kit/canonical-json.ts";
import { MatrixError } from "#src/kit/matrix-error.ts";
import type { Requester } from "#src/kit/requester.ts";
import type { CrossSigningKey, CrossSigningUpload } from "./key-schemas.ts";
import type { CrossSigningRow, Usage } from "./queries-cross-signing.ts";
import { isSignedBy, requireKey } from "./signed-keys.ts";

/**
 * Reads the keys that a user publishes, and verifies that the master key has signed the others.
 *
 * @param held the keys that the user has, by usage.
 * @throws MatrixError M_INVALID_PARAM if a key is malformed or another user's; M_MISSING_PARAM if there
 *   is no master key; M_INVALID_SIGNATURE if it has not signed the others; M_BAD_JSON; M_TOO_LARGE.
 * @spec client-server-api#post_matrixclientv3keysdevice_signingupload
 */
export async function readCrossSigningKeys(
  requester: Requester,
  upload: CrossSigningUpload,
  held: ReadonlyMap<string, CrossSigningRow>,
): Promise<readonly CrossSigningRow[]> {
  const given = [
    ["master", upload.master_key],
    ["self_signing", upload.self_signing_key],
    ["user_signing", upload.user_signing_key],
  ] as const;
  const rows = given.flatMap(([usage, key]) => (key ? [rowOf(requester, usage, key)] : []));
  const master = rows.find((it) => it.usage === "master") ?? held.get("master");
  if (!master) throw new MatrixError("M_MISSING_PARAM", "There is no master key");
  const inUse = new Map([...held, ...rows.map((it) => [it.usage, it] as const)]);
  if (new Set([...inUse.values()].map((it) => it.publicKey)).size < inUse.size) {
    throw new MatrixError("M_INVALID_PARAM", "One key cannot have several uses");
  }

  const keyId = `ed25519:${master.publicKey}`;
  const signer = { userId: requester.userId, keyId, publicKey: master.publicKey };
  for (const { usage, json } of rows) {
    if (usage !== "master" && !(await isSignedBy(JSON.parse(json) as object, signer))) {
      throw new MatrixError(
        "M_INVALID_SIGNATURE",
        `The master key has not signed the ${usage} key`,
      );
    }
  }
  return rows;
}

function rowOf(
  { userId, userKey }: Requester,
  usage: Usage,
  key: CrossSigningKey,
): CrossSigningRow {
  if (key.user_id !== userId) {
    throw new MatrixError("M_INVALID_PARAM", "This is the key of another user");
  }
  if (!key.usage.includes(usage)) {
    throw new MatrixError("M_INVALID_PARAM", `The ${usage} key is not for that usage`);
  }
  const [entry, ...others] = Object.entries(key.keys);
  if (!entry || others.length > 0 || entry[0] !== `ed25519:${entry[1]}`) {
    throw new MatrixError("M_INVALID_PARAM", `The ${usage} key must be one key, named by itself`);
  }
  requireKey(key);
  const { unsigned: _, ...kept } = key;
  return { userKey, usage, publicKey: entry[1], json: canonicalJson(kept) };
}
