import type { Homeserver } from "#src/homeserver/homeserver.ts";
import { canonicalJson } from "#src/kit/canonical-json.ts";
import { MatrixError } from "#src/kit/matrix-error.ts";
import type { Requester } from "#src/kit/requester.ts";
import { write } from "#src/streams/write.ts";
import { encryptionStream } from "./encryption-stream.ts";
import { countsByAlgorithm } from "./key-counts.ts";
import type { DeviceKeys, KeyUpload } from "./key-schemas.ts";
import type { OneTimeKeyRow } from "./queries-uploads.ts";
import { requireKey } from "./signed-keys.ts";
import type { UploadWrite } from "./store-uploads.ts";

/** The most one-time keys that a request may bring: clients keep fifty to a hundred here. */
const MOST_KEYS = 1_000;

/**
 * Publishes keys of the requester's device: all of the request, or nothing if part of it is refused.
 *
 * If the identity keys are others than before, what belonged to the old ones is dropped: the device
 * has lost its store, and nobody could use it.
 *
 * @returns how many one-time keys the device has now, by algorithm.
 * @throws MatrixError M_INVALID_PARAM if the keys are not the requester's or an ID is malformed;
 *   M_UNKNOWN (400) if a one-time key's ID is taken by another key; M_BAD_JSON if something cannot have been
 *   signed; M_TOO_LARGE.
 * @spec client-server-api#uploading-keys
 */
export async function uploadKeys(
  hs: Homeserver,
  requester: Requester,
  upload: KeyUpload,
): Promise<Record<string, number>> {
  const { counts = [] } = await write(hs, encryptionStream, uploadOf(requester, upload));
  return countsByAlgorithm(counts);
}

/** What is stored of keys that a device publishes. @throws MatrixError as `uploadKeys`, but of those that are there already. */
export function uploadOf(
  owner: Pick<Requester, "userId" | "userKey" | "deviceId" | "deviceKey">,
  upload: KeyUpload,
): UploadWrite {
  const { userKey, deviceKey } = owner;
  const deviceKeys = upload.device_keys;
  if (deviceKeys) requireOwnKeys(owner, deviceKeys);
  const fallback = upload.fallback_keys ?? upload["org.matrix.msc2732.fallback_keys"];
  return {
    kind: "upload",
    userKey,
    deviceKey,
    deviceKeys: deviceKeys && canonicalJson(withoutUnsigned(deviceKeys)),
    oneTimeKeys: rowsOf(deviceKey, upload.one_time_keys),
    fallbackKeys: lastOfEachAlgorithm(rowsOf(deviceKey, fallback)),
  };
}

/** `unsigned` is ours to add; from a client it would be passed on to others as if it were. */
function withoutUnsigned(keys: DeviceKeys): object {
  const { unsigned: _, ...kept } = keys;
  return kept;
}

/**
 * The device's own signature is not looked at: clients ignore devices that have not signed their keys, so those harm
 * nobody, and there are programs that publish them, also with signatures that are none.
 */
function requireOwnKeys(
  { userId, deviceId }: Pick<Requester, "userId" | "deviceId">,
  keys: DeviceKeys,
): void {
  if (keys.user_id !== userId || keys.device_id !== deviceId) {
    throw new MatrixError("M_INVALID_PARAM", "These are the keys of another user or device");
  }
  requireKey(keys);
}

/** @throws MatrixError M_INVALID_PARAM, M_BAD_JSON, M_TOO_LARGE */
function rowsOf(deviceKey: number, keys: KeyUpload["one_time_keys"]): OneTimeKeyRow[] {
  const entries = Object.entries(keys ?? {});
  if (entries.length > MOST_KEYS) {
    throw new MatrixError("M_INVALID_PARAM", `At most ${MOST_KEYS} keys may be uploaded at once`);
  }
  return entries.map(([name, key]) => {
    const colon = name.indexOf(":");
    if (colon < 1 || colon === name.length - 1 || name.length > 255) {
      throw new MatrixError(
        "M_INVALID_PARAM",
        "Each key must be named by its algorithm and its ID",
      );
    }
    requireKey(key);
    return {
      deviceKey,
      algorithm: name.slice(0, colon),
      keyId: name.slice(colon + 1),
      json: JSON.stringify(key),
    };
  });
}

/** At most one fallback key of an algorithm is kept. */
function lastOfEachAlgorithm(rows: readonly OneTimeKeyRow[]): OneTimeKeyRow[] {
  return [...new Map(rows.map((it) => [it.algorithm, it])).values()];
}
