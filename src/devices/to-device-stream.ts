import type { ServerName, UserId } from "#src/kit/identifiers.ts";
import type { Change, Outcome, Placed, Stream } from "#src/streams/stream.ts";
import {
  type Delivery,
  deliveriesBetween,
  enqueue,
  enqueueRemote,
  type FullDevice,
  insertReceived,
  insertTransactions,
  type LocalMessage,
  messagesReceived,
  type ReceivedKey,
  remoteDeliveriesBetween,
  type RemoteMessage,
  type ServerDelivery,
  type TransactionKey,
  transactionsDone,
} from "./queries-to-device.ts";

/**
 * The name, in every `Change`, of the stream of messages to devices. Each has user and device, or, if the messages
 * are for another server, a `RemoteDelivery` as its detail.
 */
export const TO_DEVICE = "to-device";

/** Says that there are messages for another server. */
export class RemoteDelivery {
  readonly serverName: ServerName;

  constructor(serverName: ServerName) {
    this.serverName = serverName;
  }
}

/** Messages of one sender and type, each for a device or, with `*`, for all devices of a user. */
export type ToDeviceWrite = {
  readonly senderKey: number;
  readonly type: string;
  /** By which a repeated request is known. */
  readonly transaction?: { readonly deviceKey: number; readonly txnId: string };
  /** By which messages that another server brings are known when they come again. */
  readonly received?: ReceivedKey;
  /** Devices that are not to get them: they have too many already. */
  readonly full?: readonly number[];
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
    const remote = fresh.flatMap(remoteMessages);
    const [, , deliveries] = await Promise.all([
      insertTransactions(lane, writes.flatMap(transactionOf), hs.now()),
      insertReceived(lane, writes.flatMap(receivedOf), hs.now()),
      enqueue(lane, fresh.flatMap(localMessages), fresh.flatMap(fullOf)),
      enqueueRemote(lane, remote),
    ]);
    const sent = Map.groupBy(remoteDeliveries(remote), (it) => it.position);
    const told = Map.groupBy(deliveries, (it) => it.position);
    return placed.map(({ position }): Outcome<void> => {
      const changes = (told.get(position) ?? []).map(changeOf);
      const others = (sent.get(position) ?? []).map(remoteChange);
      return { ok: true, result: undefined, changes: [...changes, ...others] };
    });
  },

  async changesBetween(sql, after, upTo) {
    const [own, remote] = await Promise.all([
      deliveriesBetween(sql, after, upTo),
      remoteDeliveriesBetween(sql, after, upTo),
    ]);
    return [...own.map(changeOf), ...remote.map(remoteChange)];
  },
};

function localMessages({ write, position }: Placed<ToDeviceWrite>): LocalMessage[] {
  const { senderKey, type } = write;
  return write.local.map((it, part) => ({ ...it, part, position, senderKey, type }));
}

function fullOf({ write, position }: Placed<ToDeviceWrite>): FullDevice[] {
  return (write.full ?? []).map((deviceKey) => ({ position, deviceKey }));
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

/** Of each write, the servers that it has messages for. */
function remoteDeliveries(messages: readonly RemoteMessage[]): ServerDelivery[] {
  const distinct = new Map(
    messages.map(({ position, serverName }) => [
      `${position} ${serverName}`,
      { position, serverName },
    ]),
  );
  return [...distinct.values()];
}

function remoteChange({ position, serverName }: ServerDelivery): Change {
  return { position, stream: TO_DEVICE, detail: new RemoteDelivery(serverName) };
}
