import { randomBytes } from "node:crypto";
import { z } from "zod";
import { unpaddedBase64 } from "#src/kit/base64.ts";
import type { ServerName } from "#src/kit/identifiers.ts";
import { signingKeyFromSeed, signJson } from "#src/kit/signed-json.ts";
import { DeliveryError } from "./delivery.ts";
import type { HttpConnection } from "./http-connection.ts";
import { type Account, ask, newTransactionId, sync } from "./matrix-client.ts";

/** A device with keys, and how far it has synced. */
export type Device = {
  readonly account: Account;
  readonly deviceId: string;
  since: string | undefined;
  /** What the messages said that came to it. */
  readonly received: string[];
};

/** Of one-time keys, which no server verifies: Curve25519 keys and signatures are of these lengths in base64. */
const KEY = "x".repeat(43);
const SIGNATURE = "y".repeat(86);

/** As an Olm message that brings a session of a room. */
const CIPHERTEXT = "z".repeat(1_000);

/** How many messages clients send at once. */
const AT_ONCE = 250;

/** A sync that asks for no rooms. */
const FILTER = JSON.stringify({ room: { rooms: [] }, presence: { types: [] } });

const queried = z.object({ device_keys: z.record(z.string(), z.record(z.string(), z.unknown())) });
const claimed = z.object({
  one_time_keys: z.record(z.string(), z.record(z.string(), z.unknown())),
});
const synced = z.object({
  to_device: z
    .object({ events: z.array(z.object({ content: z.object({ session_id: z.string() }) })) })
    .optional(),
});

/** Publishes a device's keys, and some for one-time use. */
export async function uploadKeys(
  connection: HttpConnection,
  { account, deviceId }: Device,
  oneTimeKeys: number,
): Promise<void> {
  const { userId } = account;
  const signatures = { [userId]: { [`ed25519:${deviceId}`]: SIGNATURE } };
  const one_time_keys = Object.fromEntries(
    Array.from({ length: oneTimeKeys }, (_, index) => [
      `signed_curve25519:${index}`,
      { key: KEY, signatures },
    ]),
  );
  const key = signingKeyFromSeed(`ed25519:${deviceId}`, randomBytes(32));
  const unsigned = {
    user_id: userId,
    device_id: deviceId,
    algorithms: ["m.olm.v1.curve25519-aes-sha2", "m.megolm.v1.aes-sha2"],
    keys: {
      [`curve25519:${deviceId}`]: KEY,
      [`ed25519:${deviceId}`]: unpaddedBase64(key.publicKey),
    },
  };
  // Servers sign JSON as devices do.
  const device_keys = signJson(unsigned, userId as string as ServerName, key);
  await post(connection, account, "/keys/upload", { device_keys, one_time_keys });
}

/**
 * Asks for the devices of users, and takes a key of each.
 *
 * @throws DeliveryError if one has none
 */
export async function claimKeys(
  connection: HttpConnection,
  account: Account,
  userIds: readonly string[],
): Promise<Map<string, string[]>> {
  const wanted = Object.fromEntries(userIds.map((userId) => [userId, []]));
  const found = queried.parse(
    await post(connection, account, "/keys/query", { device_keys: wanted }),
  ).device_keys;
  const devices = new Map(Object.entries(found).map(([user, its]) => [user, Object.keys(its)]));
  const asked = [...devices].map(([user, its]) => [
    user,
    Object.fromEntries(its.map((deviceId) => [deviceId, "signed_curve25519"])),
  ]);
  const keys = claimed.parse(
    await post(connection, account, "/keys/claim", { one_time_keys: Object.fromEntries(asked) }),
  ).one_time_keys;
  for (const [user, its] of devices) {
    const got = Object.keys(keys[user] ?? {});
    if (got.length !== its.length) throw new DeliveryError("a device had no key left");
  }
  return devices;
}

/** Sends a session of a room to devices, as an encrypted message to each. @returns how many. */
export async function shareSession(
  connection: HttpConnection,
  account: Account,
  { devices, session }: { readonly devices: ReadonlyMap<string, string[]>; session: string },
): Promise<number> {
  const all = [...devices].flatMap(([user, its]) => its.map((deviceId) => ({ user, deviceId })));
  const content = {
    algorithm: "m.olm.v1.curve25519-aes-sha2",
    sender_key: KEY,
    session_id: session,
    ciphertext: { [KEY]: { type: 0, body: CIPHERTEXT } },
  };
  for (let at = 0; at < all.length; at += AT_ONCE) {
    const messages: Record<string, Record<string, object>> = {};
    for (const { user, deviceId } of all.slice(at, at + AT_ONCE)) {
      (messages[user] ??= {})[deviceId] = content;
    }
    await ask(connection, {
      method: "PUT",
      path: `/sendToDevice/m.room.encrypted/${newTransactionId()}`,
      account,
      body: JSON.stringify({ messages }),
    });
  }
  return all.length;
}

/** Has a device sync, and takes in what has come to it. @returns how many messages that were. */
export async function receive(connection: HttpConnection, device: Device): Promise<number> {
  const { since } = device;
  const asked = { filter: FILTER, ...(since !== undefined && { since }) };
  const { nextBatch, body } = await sync(connection, device.account, asked);
  device.since = nextBatch;
  const { to_device } = synced.parse(JSON.parse(body.toString()));
  const messages = to_device?.events ?? [];
  device.received.push(...messages.map(({ content }) => content.session_id));
  return messages.length;
}

async function post(
  connection: HttpConnection,
  account: Account,
  path: string,
  body: object,
): Promise<unknown> {
  const asked = { method: "POST", path, account, body: JSON.stringify(body) } as const;
  return JSON.parse((await ask(connection, asked)).toString());
}
