import type { z } from "zod";
import { receiveToDevice } from "#src/devices/receive-to-device.ts";
import type { Homeserver } from "#src/homeserver/homeserver.ts";
import type { ServerName } from "#src/kit/identifiers.ts";
import { isOf, type ToDeviceContent } from "./edu-schemas.ts";

/**
 * Takes in messages of a server's users to devices of ours, each once however often it comes.
 *
 * @spec server-server-api#send-to-device-messaging
 */
export async function receiveToDeviceMessages(
  hs: Homeserver,
  origin: ServerName,
  contents: readonly z.infer<typeof ToDeviceContent>[],
): Promise<void> {
  await receiveToDevice(
    hs,
    origin,
    contents
      .filter((it) => isOf(origin, it.sender))
      .map(({ sender, type, message_id: messageId, messages }) => ({
        sender,
        type,
        messageId,
        messages: [...messages].flatMap(([userId, byDevice]) =>
          Array.from(byDevice, ([deviceId, content]) => ({ userId, deviceId, content })),
        ),
      })),
  );
}
