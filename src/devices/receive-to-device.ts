import type { Homeserver } from "#src/homeserver/homeserver.ts";
import { serverNameOf, type ServerName, type UserId } from "#src/kit/identifiers.ts";
import { findUserKeys, userKeysOf } from "#src/rooms/user-keys.ts";
import { write } from "#src/streams/write.ts";
import { fullDevices } from "./queries-to-device.ts";
import { toDeviceStream } from "./to-device-stream.ts";

/** Messages that another server brings, of one of its users. */
export type ReceivedMessages = {
  readonly sender: UserId;
  readonly type: string;
  /** By which a repetition is known. */
  readonly messageId: string;
  readonly messages: readonly {
    /** As the other server has it: anything. */
    readonly userId: string;
    /** `*` for all devices of the user. */
    readonly deviceId: string;
    readonly content: object;
  }[];
};

/** The most messages of one server that wait for one device: more than a device that is away for months misses. */
const MOST_WAITING = 10_000;

/** The longest message, in characters of JSON: as long as an event may be. */
const LONGEST_CONTENT = 65_536;

/**
 * Puts messages of other servers into the queues of our devices. Those that were put there before, those to users and
 * devices that do not exist, those that are too long, and those to devices for which too many wait are passed over.
 *
 * @spec server-server-api#send-to-device-messaging
 */
export async function receiveToDevice(
  hs: Homeserver,
  serverName: ServerName,
  all: readonly ReceivedMessages[],
): Promise<void> {
  const wanted = all.flatMap((it) => it.messages.map((message) => message.userId as UserId));
  const userKeys = await findUserKeys(
    hs,
    wanted.filter((it) => serverNameOf(it) === hs.name && !it.includes("\0")),
  );
  const local = all.map(({ messages, ...it }) => ({
    ...it,
    messages: messages.flatMap(({ userId, deviceId, content }) => {
      const userKey = userKeys.get(userId as UserId);
      if (userKey === undefined || deviceId.includes("\0")) return [];
      const text = JSON.stringify(content);
      return text.length > LONGEST_CONTENT ? [] : [{ userKey, deviceId, content: text }];
    }),
  }));
  const some = local.filter((it) => it.messages.length > 0);
  const senders = await userKeysOf(
    hs,
    some.map((it) => it.sender),
  );
  const full = await fullDevices(hs.sql, [...userKeys.values()], {
    serverName,
    most: MOST_WAITING,
  });
  if (full.length > 0) {
    hs.log.warn({ origin: serverName, devices: full.length }, "too many messages of a server wait");
  }
  await Promise.all(
    some.map(async ({ sender, type, messageId, messages }) => {
      const senderKey = senders.get(sender);
      if (senderKey === undefined) throw new Error("a user was given no key");
      const received = { serverName, messageId };
      const sent = { senderKey, type, received, full };
      await write(hs, toDeviceStream, { ...sent, local: messages, remote: [] });
    }),
  );
}
