import { z } from "zod";
import { JsonObject } from "#src/kit/json-object.ts";

// Kept whole, unknown fields included: what was signed must be given back as it was.

/** Signatures of users, by the IDs of the keys that made them. */
const SignaturesField = z.record(z.string(), z.record(z.string(), z.string()));

/**
 * The identity keys of a device.
 *
 * @spec client-server-api#device-keys
 */
export const DeviceKeys = z.looseObject({
  user_id: z.string(),
  device_id: z.string(),
  algorithms: z.array(z.string()),
  keys: z.record(z.string(), z.string()),
  signatures: SignaturesField,
});
export type DeviceKeys = z.infer<typeof DeviceKeys>;

/** @spec client-server-api#cross-signing */
export const CrossSigningKey = z.looseObject({
  user_id: z.string(),
  usage: z.array(z.string()),
  keys: z.record(z.string(), z.string()),
  signatures: SignaturesField.optional(),
});
export type CrossSigningKey = z.infer<typeof CrossSigningKey>;

/**
 * A one-time or fallback key: signed, or a bare string.
 *
 * @spec client-server-api#one-time-and-fallback-keys
 */
const KeyObject = z.union([
  z.string(),
  z.looseObject({ key: z.string(), signatures: SignaturesField.optional() }),
]);
export type KeyObject = z.infer<typeof KeyObject>;

const KeysById = z.record(z.string(), KeyObject);

export const KeyUpload = z.object({
  device_keys: DeviceKeys.optional(),
  one_time_keys: KeysById.optional(),
  fallback_keys: KeysById.optional(),
  // As it was called before it was specified.
  "org.matrix.msc2732.fallback_keys": KeysById.optional(),
});
export type KeyUpload = z.infer<typeof KeyUpload>;

export const KeyQuery = z.object({
  timeout: z.number().int().min(0).optional(),
  device_keys: z.record(z.string(), z.array(z.string())),
});
export type KeyQuery = z.infer<typeof KeyQuery>;

export const KeyClaim = z.object({
  timeout: z.number().int().min(0).optional(),
  one_time_keys: z.record(z.string(), z.record(z.string(), z.string())),
});
export type KeyClaim = z.infer<typeof KeyClaim>;

/** How long clients wait for other servers if they do not say, and at most. In milliseconds. */
const USUAL_WAIT_MS = 10_000;
const LONGEST_WAIT_MS = 60_000;

/** How long a request may wait for the answers of other servers. */
export function waitMsOf({ timeout }: KeyQuery | KeyClaim): number {
  return Math.min(timeout ?? USUAL_WAIT_MS, LONGEST_WAIT_MS);
}

export const CrossSigningUpload = z.object({
  master_key: CrossSigningKey.optional(),
  self_signing_key: CrossSigningKey.optional(),
  user_signing_key: CrossSigningKey.optional(),
});
export type CrossSigningUpload = z.infer<typeof CrossSigningUpload>;

/** By user, then by device ID or public key. */
export const SignatureUpload = z.record(z.string(), z.record(z.string(), JsonObject));
export type SignatureUpload = z.infer<typeof SignatureUpload>;
