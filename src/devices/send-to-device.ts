import type { Homeserver } from "#src/homeserver/homeserver.ts";
import { parseUserId, serverNameOf, type UserId } from "#src/kit/identifiers.ts";
import { MatrixError } from "#src/kit/matrix-error.ts";
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
 * The most that a message may take, as an event may: a device is given up to a hundred at once, and what
 * it cannot be given, it would ask for again without end.
 */
const MOST_BYTES = 65_536;

/** The most messages of a request: clients send to some hundred devices at once. */
const MOST_MESSAGES = 10_000;

/**
 * Sends messages to devices: all of them, in one write. One to a device or user of this server that
 * does not exist is dropped; one to another server's user is kept until that server takes it.
 *
 * @throws MatrixError M_INVALID_PARAM if a user ID is malformed; M_TOO_LARGE for a message over 64 KiB, or
 *   more than 10 000.
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
      content: contentOf(content),
    }));
  });
  if (all.length > MOST_MESSAGES) {
    throw new MatrixError("M_TOO_LARGE", `At most ${MOST_MESSAGES} messages may be sent at once`);
  }
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

function contentOf(content: object): string {
  const json = JSON.stringify(content);
  if (Buffer.byteLength(json) <= MOST_BYTES) return json;
  throw new MatrixError("M_TOO_LARGE", `A message to a device has at most ${MOST_BYTES} bytes`);
}
