import type { Homeserver } from "#src/homeserver/homeserver.ts";
import { groupToObject } from "#src/kit/group-to-object.ts";
import type { UserId } from "#src/kit/identifiers.ts";
import { MatrixError } from "#src/kit/matrix-error.ts";
import type { Requester } from "#src/kit/requester.ts";
import { findUserKeys } from "#src/rooms/user-keys.ts";
import { write } from "#src/streams/write.ts";
import { encryptionStream } from "./encryption-stream.ts";
import type { SignatureUpload } from "./key-schemas.ts";
import { type CrossSigningRow, crossSigningKeysOf } from "./queries-cross-signing.ts";
import { type PublishedDevice, publishedDevices } from "./queries-keys.ts";
import { entriesByUser } from "./read-user-ids.ts";
import { isSignedBy, requireKey, signatureOf, signedContent, type Signer } from "./signed-keys.ts";
import type { SignaturesWrite } from "./store-signatures.ts";

/** What was refused: by user, then by device ID or public key, as errors. */
export type SignatureFailures = Readonly<Record<string, Readonly<Record<string, MatrixError>>>>;

/** Keys that may be signed, and those of the requester that may sign. */
type Published = {
  readonly ownKeys: readonly CrossSigningRow[];
  /** Master keys, by `masterName`. */
  readonly masters: ReadonlyMap<string, CrossSigningRow>;
  readonly devices: ReadonlyMap<string, PublishedDevice>;
  readonly userKeys: ReadonlyMap<UserId, number>;
};

type Accepted = {
  readonly onDevices: SignaturesWrite["onDevices"][number][];
  readonly onKeys: SignaturesWrite["onKeys"][number][];
};

/**
 * Adds signatures that the requester has made: of their devices, by the self-signing key; of their
 * master key, by their devices; and of others' master keys, by the user-signing key. Each is verified.
 *
 * @returns those that were refused, with the reason. The others are stored.
 * @throws MatrixError M_INVALID_PARAM if a user ID is malformed.
 * @spec client-server-api#post_matrixclientv3keyssignaturesupload
 */
export async function uploadSignatures(
  hs: Homeserver,
  requester: Requester,
  upload: SignatureUpload,
): Promise<SignatureFailures> {
  const entries = entriesByUser(upload);
  const published = await readPublished(
    hs,
    requester,
    entries.map(([userId]) => userId),
  );
  const accepted: Accepted = { onDevices: [], onKeys: [] };
  const targets = entries.flatMap(([userId, objects]) =>
    Object.entries(objects).map(([targetId, object]) => ({ userId, targetId, object })),
  );
  const failures: Refused[] = [];
  for (const target of targets) {
    try {
      await accept(requester, published, { ...target, accepted });
    } catch (error) {
      if (!(error instanceof MatrixError)) throw error;
      failures.push({ ...target, error });
    }
  }
  if (accepted.onDevices.length + accepted.onKeys.length > 0) {
    await write(hs, encryptionStream, {
      kind: "signatures",
      signerKey: requester.userKey,
      ...accepted,
    });
  }
  return groupToObject(
    failures,
    (it) => it.userId,
    (ofUser) => Object.fromEntries(ofUser.map((it) => [it.targetId, it.error])),
  );
}

type Refused = { readonly userId: UserId; readonly targetId: string; readonly error: MatrixError };

async function readPublished(
  hs: Homeserver,
  { userId, userKey }: Requester,
  userIds: readonly UserId[],
): Promise<Published> {
  const userKeys = await findUserKeys(hs, [userId, ...userIds]);
  const [keys, devices] = await Promise.all([
    crossSigningKeysOf(hs.sql, [...userKeys.values()]),
    publishedDevices(hs.sql, [userKey]),
  ]);
  const masters = keys.filter((it) => it.usage === "master");
  return {
    ownKeys: keys.filter((it) => it.userKey === userKey),
    masters: new Map(masters.map((it) => [masterName(it.userKey, it.publicKey), it])),
    devices: new Map(devices.map((it) => [it.deviceId, it])),
    userKeys,
  };
}

function masterName(userKey: number | undefined, publicKey: string): string {
  return `${userKey} ${publicKey}`;
}

type Target = {
  readonly userId: UserId;
  /** A device ID or a public key. */
  readonly targetId: string;
  readonly object: object;
  readonly accepted: Accepted;
};

/** @throws MatrixError M_NOT_FOUND, M_INVALID_SIGNATURE, M_BAD_JSON, M_TOO_LARGE */
async function accept(
  requester: Requester,
  published: Published,
  { userId, targetId, object, accepted }: Target,
): Promise<void> {
  requireKey(object);
  const isOwn = userId === requester.userId;
  const device = isOwn ? published.devices.get(targetId) : undefined;
  const key = published.masters.get(masterName(published.userKeys.get(userId), targetId));
  const held = device ?? key;
  if (!held) throw new MatrixError("M_NOT_FOUND", "There is no such key that you may sign");
  if (signedContent(JSON.parse(held.json) as object) !== signedContent(object)) {
    throw new MatrixError("M_INVALID_SIGNATURE", "What is signed is not the key that is published");
  }
  const signers = device
    ? keysFor(requester, published, "self_signing")
    : isOwn
      ? devicesFor(requester, published)
      : keysFor(requester, published, "user_signing");
  for (const { signer, signature } of await verified(object, signers)) {
    const made = { keyId: signer.keyId, signature };
    if (device) accepted.onDevices.push({ deviceKey: device.deviceKey, ...made });
    else if (key) {
      accepted.onKeys.push({ userKey: key.userKey, publicKey: key.publicKey, ...made });
    }
  }
}

/** The requester's key of a usage, as a signer. */
function keysFor(
  { userId }: Requester,
  { ownKeys }: Published,
  usage: CrossSigningRow["usage"],
): Signer[] {
  return ownKeys
    .filter((it) => it.usage === usage)
    .map(({ publicKey }) => ({ userId, keyId: `ed25519:${publicKey}`, publicKey }));
}

/** The requester's devices, as signers. */
function devicesFor({ userId }: Requester, { devices }: Published): Signer[] {
  return [...devices.values()].flatMap(({ deviceId, json }) => {
    const { keys } = JSON.parse(json) as { keys: Readonly<Record<string, string>> };
    const keyId = `ed25519:${deviceId}`;
    const publicKey = Object.hasOwn(keys, keyId) ? keys[keyId] : undefined;
    return publicKey === undefined ? [] : [{ userId, keyId, publicKey }];
  });
}

/** @throws MatrixError M_INVALID_SIGNATURE if one of the signatures is wrong, or there is none. */
async function verified(object: object, signers: readonly Signer[]) {
  const found = signers.flatMap((signer) => {
    const signature = signatureOf(object, signer);
    return signature === undefined ? [] : [{ signer, signature }];
  });
  const valid = await Promise.all(
    found.map(async ({ signer }) => await isSignedBy(object, signer)),
  );
  if (found.length === 0 || valid.includes(false)) {
    throw new MatrixError("M_INVALID_SIGNATURE", "There is no valid signature by a key of yours");
  }
  return found;
}
