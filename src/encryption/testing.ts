import { randomBytes } from "node:crypto";
import { createDevice } from "#src/devices/create-device.ts";
import type { Homeserver } from "#src/homeserver/homeserver.ts";
import { unpaddedBase64 } from "#src/kit/base64.ts";
import type { CanonicalObject } from "#src/kit/canonical-json.ts";
import type { ServerName } from "#src/kit/identifiers.ts";
import type { Requester } from "#src/kit/requester.ts";
import { type SigningKey, signingKeyFromSeed, signJson } from "#src/kit/signed-json.ts";
import { testUser } from "#src/testing.ts";
import type { CrossSigningKey, DeviceKeys } from "./key-schemas.ts";

/** A key pair as clients have them: the public half names the key, or a device does. */
export type TestKey = { readonly key: SigningKey; readonly publicKey: string };

export function testKey(name?: string): TestKey {
  const seed = randomBytes(32);
  const publicKey = unpaddedBase64(signingKeyFromSeed("ed25519:0", seed).publicKey);
  return { key: signingKeyFromSeed(`ed25519:${name ?? publicKey}`, seed), publicKey };
}

/** Signs as a user. */
export function signedBy<T extends object>(object: T, userId: string, { key }: TestKey): T {
  return signJson(object as CanonicalObject, userId as ServerName, key) as unknown as T;
}

/** A user with a device of their own. */
export async function testDevice(
  hs: Homeserver,
  localpart: string,
  deviceId = "DEVICE",
): Promise<Requester> {
  const user = await testUser(hs, localpart);
  return { ...user, ...(await createDevice(hs, user, { deviceId })) };
}

/** The identity keys of a device, signed by it. */
export function deviceKeysOf(
  { userId, deviceId }: Pick<Requester, "userId" | "deviceId">,
  key: TestKey = testKey(deviceId),
): DeviceKeys {
  const keys = {
    user_id: userId,
    device_id: deviceId,
    algorithms: ["m.olm.v1.curve25519-aes-sha2", "m.megolm.v1.aes-sha2"],
    keys: {
      [`ed25519:${deviceId}`]: key.publicKey,
      [`curve25519:${deviceId}`]: unpaddedBase64(randomBytes(32)),
    },
    signatures: {},
  };
  return signedBy(keys, userId, key);
}

/** So many one-time keys, by name. */
export function oneTimeKeys(names: readonly string[]) {
  return Object.fromEntries(
    names.map((name) => [
      `signed_curve25519:${name}`,
      { key: unpaddedBase64(randomBytes(32)), signatures: {} },
    ]),
  );
}

/** A cross-signing key of a user. */
export function crossSigningKey(
  userId: string,
  usage: string,
  { publicKey }: TestKey,
): CrossSigningKey {
  return { user_id: userId, usage: [usage], keys: { [`ed25519:${publicKey}`]: publicKey } };
}
