import type { ServerName, UserId } from "#src/kit/identifiers.ts";
import type { Change, Outcome, Placed, Stream } from "#src/streams/stream.ts";
import {
  type Delivery,
  deliveriesBetween,
  enqueue,
  enqueueRemote,
  insertReceived,
  insertTransactions,
  type LocalMessage,
  messagesReceived,
  type ReceivedKey,
  type RemoteMessage,
  type TransactionKey,
  transactionsDone,
} from "./queries-to-device.ts";

/** The name, in every `Change`, of the stream of messages to devices. Each has user and device. */
export const TO_DEVICE = "to-device";

/** Messages of one sender and type, each for a device or, with `*`, for all devices of a user. */
export type ToDeviceWrite = {
  readonly senderKey: number;
  readonly type: string;
  /** By which a repeated request is known. */
  readonly transaction?: { readonly deviceKey: number; readonly txnId: string };
  /** By which messages that another server brings are known when they come again. */
  readonly received?: ReceivedKey;
  readonly local: readonly {
    readonly userKey: number;
    readonly deviceId: string;
    readonly content: string;
  }[];
  readonly remote: readonly {
    readonly serverName: ServerName;
    readonly userId: UserId;
    readonly deviceId: string;
    readonly content: string;
  }[];
};

/** Messages to devices: a queue for each device, and one for each other server. */
export const toDeviceStream: Stream<ToDeviceWrite, void> = {
  name: TO_DEVICE,

  look: async (_hs, lane, writes): Promise<ReadonlySet<string>> => {
    const [transactions, received] = await Promise.all([
      transactionsDone(lane, writes.flatMap(transactionOf)),
      messagesReceived(lane, writes.flatMap(receivedOf)),
    ]);
    return new Set([...transactions.map(keyOf), ...received.map(receivedKey)]);
  },

  async store(hs, lane, placed, looked) {
    const done = new Set(looked as ReadonlySet<string>);
    const fresh = placed.filter(({ write }) => {
      const keys = [...transactionOf(write).map(keyOf), ...receivedOf(write).map(receivedKey)];
      const isRepeated = keys.some((it) => done.has(it));
      for (const key of keys) done.add(key);
      return !isRepeated;
    });
    const writes = fresh.map((it) => it.write);
    const [, , deliveries] = await Promise.all([
      insertTransactions(lane, writes.flatMap(transactionOf), hs.now()),
      insertReceived(lane, writes.flatMap(receivedOf), hs.now()),
      enqueue(lane, fresh.flatMap(localMessages)),
      enqueueRemote(lane, fresh.flatMap(remoteMessages)),
    ]);
    const told = Map.groupBy(deliveries, (it) => it.position);
    return placed.map(({ position }): Outcome<void> => {
      const changes = (told.get(position) ?? []).map(changeOf);
      return { ok: true, result: undefined, changes };
    });
  },

  async changesBetween(sql, after, upTo) {
    return (await deliveriesBetween(sql, after, upTo)).map(changeOf);
  },
};

function localMessages({ write, position }: Placed<ToDeviceWrite>): LocalMessage[] {
  const { senderKey, type } = write;
  return write.local.map((it, part) => ({ ...it, part, position, senderKey, type }));
}

function remoteMessages({ write, position }: Placed<ToDeviceWrite>): RemoteMessage[] {
  const { senderKey, type } = write;
  return write.remote.map((it, part) => ({ ...it, part, position, senderKey, type }));
}

function transactionOf({ transaction, type }: ToDeviceWrite): TransactionKey[] {
  return transaction ? [{ ...transaction, type }] : [];
}

function receivedOf({ received }: ToDeviceWrite): ReceivedKey[] {
  return received ? [received] : [];
}

function receivedKey({ serverName, messageId }: ReceivedKey): string {
  return JSON.stringify([serverName, messageId]);
}

function keyOf({ deviceKey, type, txnId }: TransactionKey): string {
  return JSON.stringify([deviceKey, type, txnId]);
}

function changeOf({ position, userKey, deviceKey }: Delivery): Change {
  return { position, stream: TO_DEVICE, userKey, deviceKey };
}
