import type { Queryable, Tx } from "#src/homeserver/database.ts";
import type { Position } from "#src/homeserver/position.ts";
import type { ServerName, UserId } from "#src/kit/identifiers.ts";

/** What makes a request of a device to send messages that one. */
export type TransactionKey = {
  readonly deviceKey: number;
  readonly type: string;
  readonly txnId: string;
};

/** Those of some requests that have been carried out. */
export async function transactionsDone(
  sql: Queryable,
  transactions: readonly TransactionKey[],
): Promise<TransactionKey[]> {
  if (transactions.length === 0) return [];
  return await sql<TransactionKey[]>`
    select device_key as "deviceKey", type, txn_id as "txnId" from to_device_transactions
    join unnest(${transactions.map((it) => it.deviceKey)}::bigint[],
      ${transactions.map((it) => it.type)}::text[], ${transactions.map((it) => it.txnId)}::text[])
      as wanted (device_key, type, txn_id) using (device_key, type, txn_id)`;
}

export async function insertTransactions(
  lane: Tx,
  transactions: readonly TransactionKey[],
  doneMs: number,
): Promise<void> {
  if (transactions.length === 0) return;
  await lane`
    insert into to_device_transactions (device_key, type, txn_id, done_ms)
    select unnest(${transactions.map((it) => it.deviceKey)}::bigint[]),
      unnest(${transactions.map((it) => it.type)}::text[]), unnest(${transactions.map((it) => it.txnId)}::text[]),
      ${doneMs}::bigint`;
}

/** What makes messages that another server brings those ones. */
export type ReceivedKey = { readonly serverName: ServerName; readonly messageId: string };

/** Those of some messages that have been brought before. */
export async function messagesReceived(
  sql: Queryable,
  keys: readonly ReceivedKey[],
): Promise<ReceivedKey[]> {
  if (keys.length === 0) return [];
  return await sql<ReceivedKey[]>`
    select server_name as "serverName", message_id as "messageId" from received_to_device
    join unnest(${keys.map((it) => it.serverName)}::text[], ${keys.map((it) => it.messageId)}::text[])
      as wanted (server_name, message_id) using (server_name, message_id)`;
}

export async function insertReceived(
  lane: Tx,
  keys: readonly ReceivedKey[],
  receivedMs: number,
): Promise<void> {
  if (keys.length === 0) return;
  await lane`
    insert into received_to_device (server_name, message_id, received_ms)
    select server_name, message_id, ${receivedMs}::bigint
    from unnest(${keys.map((it) => it.serverName)}::text[], ${keys.map((it) => it.messageId)}::text[])
      as new (server_name, message_id)`;
}

type Message = {
  readonly position: Position;
  /** Its place among the messages of one write. */
  readonly part: number;
  readonly senderKey: number;
  readonly type: string;
  /** `*` for all devices of the user. */
  readonly deviceId: string;
  readonly content: string;
};

export type LocalMessage = Message & { readonly userKey: number };

export type Delivery = { position: Position; userKey: number; deviceKey: number };

/** A device that is to get no more, by the positions of what it would get. */
export type FullDevice = { readonly position: Position; readonly deviceKey: number };

/** Puts messages into the queues of the devices that exist, and says which those are. */
export async function enqueue(
  lane: Tx,
  messages: readonly LocalMessage[],
  full: readonly FullDevice[] = [],
): Promise<Delivery[]> {
  if (messages.length === 0) return [];
  return await lane<Delivery[]>`
    with message as (
      select * from unnest(${messages.map((it) => it.userKey)}::bigint[],
        ${messages.map((it) => it.deviceId)}::text[], ${messages.map((it) => it.position)}::bigint[],
        ${messages.map((it) => it.part)}::int[], ${messages.map((it) => it.senderKey)}::bigint[],
        ${messages.map((it) => it.type)}::text[], ${messages.map((it) => it.content)}::text[])
        as message (user_key, device_id, position, part, sender_key, type, content)
    ), addressed as (
      select device_key, position, part, sender_key, type, content
      from message join devices using (user_key, device_id)
      union all
      select device_key, position, part, sender_key, type, content
      from message join devices using (user_key) where message.device_id = '*'
    ), put as (
      insert into to_device (device_key, position, part, sender_key, type, content)
      select * from addressed where (device_key, position) not in (
        select * from unnest(${full.map((it) => it.deviceKey)}::bigint[],
          ${full.map((it) => it.position)}::bigint[]))
      returning position, device_key
    )
    select distinct position, device_key as "deviceKey", user_key as "userKey"
    from put join devices using (device_key)`;
}

export type RemoteMessage = Message & {
  readonly serverName: ServerName;
  readonly userId: UserId;
};

/** Keeps messages for other servers. */
export async function enqueueRemote(lane: Tx, messages: readonly RemoteMessage[]): Promise<void> {
  if (messages.length === 0) return;
  await lane`
    insert into remote_to_device (server_name, user_id, device_id, position, part, sender_key, type, content)
    select unnest(${messages.map((it) => it.serverName)}::text[]),
      unnest(${messages.map((it) => it.userId)}::text[]), unnest(${messages.map((it) => it.deviceId)}::text[]),
      unnest(${messages.map((it) => it.position)}::bigint[]), unnest(${messages.map((it) => it.part)}::int[]),
      unnest(${messages.map((it) => it.senderKey)}::bigint[]), unnest(${messages.map((it) => it.type)}::text[]),
      unnest(${messages.map((it) => it.content)}::text[])`;
}

export async function deliveriesBetween(
  sql: Queryable,
  after: Position,
  upTo: Position,
): Promise<Delivery[]> {
  return await sql<Delivery[]>`
    select distinct position, device_key as "deviceKey", user_key as "userKey"
    from to_device join devices using (device_key)
    where position > ${after} and position <= ${upTo}`;
}

export type ServerDelivery = { readonly position: Position; readonly serverName: ServerName };

export async function remoteDeliveriesBetween(
  sql: Queryable,
  after: Position,
  upTo: Position,
): Promise<ServerDelivery[]> {
  return await sql<ServerDelivery[]>`
    select distinct position, server_name as "serverName" from remote_to_device
    where position > ${after} and position <= ${upTo}`;
}

/** A message that waits for another server to take it. */
export type WaitingMessage = {
  readonly serverName: ServerName;
  readonly position: Position;
  readonly part: number;
  readonly sender: UserId;
  readonly userId: UserId;
  readonly deviceId: string;
  readonly type: string;
  readonly content: string;
  readonly messageId: string;
};

/** The oldest messages that wait for servers, of each server a number. */
export async function waitingForServers(
  sql: Queryable,
  servers: readonly ServerName[],
  limit: number,
): Promise<readonly WaitingMessage[]> {
  return await sql<WaitingMessage[]>`
    select waiting.server_name as "serverName", position, part, users.user_id as sender,
      waiting.user_id as "userId", device_id as "deviceId", type, content, message_id as "messageId"
    from unnest(${servers}::text[]) as server (server_name)
    cross join lateral (
      select * from remote_to_device where remote_to_device.server_name = server.server_name
      order by position, part limit ${limit}) as waiting
    join users on users.user_key = sender_key
    order by waiting.server_name, position, part`;
}

/** Deletes messages that a server has taken. */
export async function deleteTaken(
  sql: Queryable,
  serverName: ServerName,
  taken: readonly { readonly position: Position; readonly part: number }[],
): Promise<void> {
  await sql`
    delete from remote_to_device using unnest(${taken.map((it) => it.position)}::bigint[],
      ${taken.map((it) => it.part)}::int[]) as taken (position, part)
    where server_name = ${serverName} and remote_to_device.position = taken.position
      and remote_to_device.part = taken.part`;
}

export type QueuedMessage = {
  readonly position: Position;
  readonly sender: UserId;
  readonly type: string;
  readonly content: string;
};

/** The oldest messages in a device's queue of a range of positions. */
export async function queuedMessages(
  sql: Queryable,
  deviceKey: number,
  { after, upTo, limit }: { after: Position; upTo: Position; limit: number },
): Promise<QueuedMessage[]> {
  return await sql<QueuedMessage[]>`
    select position, user_id as sender, type, content
    from to_device join users on users.user_key = sender_key
    where device_key = ${deviceKey} and position > ${after} and position <= ${upTo}
    order by position, part limit ${limit}`;
}

/** Deletes what is in a device's queue up to a position, and gives the position of the oldest that is left. */
export async function dequeue(
  sql: Queryable,
  deviceKey: number,
  upTo: Position,
): Promise<Position | undefined> {
  const [row] = await sql<{ oldest: Position | null }[]>`
    with gone as (delete from to_device where device_key = ${deviceKey} and position <= ${upTo})
    select min(position) as oldest from to_device
    where device_key = ${deviceKey} and position > ${upTo}`;
  return row?.oldest ?? undefined;
}

/** Those devices of some users for which so many messages of one server wait already. */
export async function fullDevices(
  sql: Queryable,
  userKeys: readonly number[],
  { serverName, most }: { readonly serverName: ServerName; readonly most: number },
): Promise<number[]> {
  if (userKeys.length === 0) return [];
  const rows = await sql<{ deviceKey: number }[]>`
    select device_key as "deviceKey" from devices
    where user_key = any(${userKeys}::bigint[])
      and (select count(*) from (
        select from to_device where to_device.device_key = devices.device_key limit ${most}) as waiting) >= ${most}
      and (select count(*) from to_device join users on users.user_key = sender_key
        where to_device.device_key = devices.device_key
          and substr(user_id, strpos(user_id, ':') + 1) = ${serverName}) >= ${most}`;
  return rows.map((it) => it.deviceKey);
}
