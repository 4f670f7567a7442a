import type { Homeserver } from "#src/homeserver/homeserver.ts";
import { parseUserId, serverNameOf, type UserId } from "#src/kit/identifiers.ts";
import { findUserKeys } from "#src/rooms/user-keys.ts";
import { write } from "#src/streams/write.ts";
import { toDeviceStream } from "./to-device-stream.ts";

/** Contents of messages: by user ID, then by device ID or `*`. */
export type MessagesByDevice = Readonly<Record<string, Readonly<Record<string, object>>>>;

export type ToDeviceRequest = {
  readonly type: string;
  readonly messages: MessagesByDevice;
  /** The sending device and the ID that it gave the request, so that a repetition sends nothing. */
  readonly transaction?: { readonly deviceKey: number; readonly txnId: string };
};

/**
 * Sends messages to devices: all of them, in one write. One to a device or user of this server that
 * does not exist is dropped; one to another server's user is kept until that server takes it.
 *
 * @throws MatrixError M_INVALID_PARAM if a user ID is malformed.
 * @spec client-server-api#put_matrixclientv3sendtodeviceeventtypetxnid
 */
export async function sendToDevice(
  hs: Homeserver,
  sender: { readonly userKey: number },
  { type, messages, transaction }: ToDeviceRequest,
): Promise<void> {
  const all = Object.entries(messages).flatMap(([id, byDevice]) => {
    const userId = parseUserId(id);
    return Object.entries(byDevice).map(([deviceId, content]) => ({
      userId,
      deviceId,
      content: JSON.stringify(content),
    }));
  });
  const isLocal = (userId: UserId) => serverNameOf(userId) === hs.name;
  const local = all.filter((it) => isLocal(it.userId));
  const userKeys = await findUserKeys(
    hs,
    local.map((it) => it.userId),
  );
  await write(hs, toDeviceStream, {
    senderKey: sender.userKey,
    type,
    ...(transaction && { transaction }),
    local: local.flatMap(({ userId, deviceId, content }) => {
      const userKey = userKeys.get(userId);
      return userKey === undefined ? [] : [{ userKey, deviceId, content }];
    }),
    remote: all
      .filter((it) => !isLocal(it.userId))
      .map((it) => ({ ...it, serverName: serverNameOf(it.userId) })),
  });
}
