import type { SdkDevice } from "../interop/js-sdk.ts";

/** How long something may take that goes over to a device of the other server, for `expect.poll`. */
export const LATER = { timeout: 60_000, interval: 50 };

/** How long a test may take that waits so several times. */
export const WITH_TIME = 180_000;

/** What makes a room whose messages are encrypted. */
export const ENCRYPTED = {
  initial_state: [
    {
      type: "m.room.encryption",
      state_key: "",
      content: { algorithm: "m.megolm.v1.aes-sha2" },
    },
  ],
};

/** The devices of a user that a device would encrypt for. */
export async function knownDevices(device: SdkDevice, userId: string): Promise<string[]> {
  const devices = await device.client.getCrypto()?.getUserDeviceInfo([userId]);
  return [...(devices?.get(userId)?.keys() ?? [])];
}
