import type { Tx } from "#src/homeserver/database.ts";
import type { RoomWrite } from "./room-write.ts";

/** Event keys of what devices have sent before, by `transactionKey`. */
export type KnownTransactions = Map<string, number>;

export function transactionKey(it: {
  readonly deviceKey: number;
  readonly txnId: string;
  readonly roomKey: number;
  readonly type: string;
}): string {
  return JSON.stringify([it.deviceKey, it.txnId, it.roomKey, it.type]);
}

/** What rooms are at, and what has been sent before. */
export type Heads = {
  /** The versions of the heads of the rooms that exist already, by their keys. */
  readonly versions: ReadonlyMap<number, number>;
  readonly transactions: KnownTransactions;
};

/** The versions of rooms' heads, and which transaction IDs have been used: one statement for both. */
export async function readHeadVersions(
  lane: Tx,
  writes: readonly Pick<RoomWrite, "room" | "transaction">[],
): Promise<Heads> {
  const keys = new Set(writes.flatMap(({ room }) => ("roomKey" in room ? [room.roomKey] : [])));
  if (keys.size === 0) return { versions: new Map(), transactions: new Map() };
  const sent = writes.flatMap(({ room, transaction }) =>
    transaction && "roomKey" in room ? [{ ...transaction, roomKey: room.roomKey }] : [],
  );
  const rows = await lane<(HeadRow | SentRow)[]>`
    select room_key, head_version, null::bigint as event_key, null::bigint as device_key,
      null as txn_id, null as type
    from rooms where room_key = any(${[...keys]}::bigint[])
    union all
    select room_key, null, event_key, device_key, txn_id, type from events
    join (
      select unnest(${sent.map((it) => it.deviceKey)}::bigint[]) as device_key,
        unnest(${sent.map((it) => it.txnId)}::text[]) as txn_id,
        unnest(${sent.map((it) => it.roomKey)}::bigint[]) as room_key,
        unnest(${sent.map((it) => it.type)}::text[]) as type) as asked using (device_key, txn_id, room_key, type)`;
  const versions = new Map<number, number>();
  const transactions: KnownTransactions = new Map();
  for (const row of rows) {
    if (row.event_key === null) versions.set(row.room_key, row.head_version);
    else transactions.set(keyOfSent(row), row.event_key);
  }
  return { versions, transactions };
}

type HeadRow = { room_key: number; head_version: number; event_key: null };
type SentRow = {
  room_key: number;
  event_key: number;
  device_key: number;
  txn_id: string;
  type: string;
};

function keyOfSent({ device_key, txn_id, room_key, type }: SentRow): string {
  return transactionKey({ deviceKey: device_key, txnId: txn_id, roomKey: room_key, type });
}

/** Makes the rows of rooms that are new, and gives their keys; not of those that are there already. */
export async function insertRooms(
  lane: Tx,
  writes: readonly RoomWrite[],
): Promise<ReadonlyMap<string, number>> {
  const rooms = writes.flatMap((it) => ("newRoom" in it.room ? [it.room] : []));
  if (rooms.length === 0) return new Map();
  const rows = await lane<{ room_key: number; room_id: string }[]>`
    insert into rooms (room_id, version)
    select unnest(${rooms.map((it) => it.newRoom)}::text[]), unnest(${rooms.map((it) => it.version)}::text[])
    on conflict do nothing
    returning room_key, room_id`;
  return new Map(rows.map((it) => [it.room_id, it.room_key]));
}

/** Takes back rooms that were not made after all. */
export function deleteRooms(lane: Tx, roomIds: readonly string[]): void {
  void lane`delete from rooms where room_id = any(${roomIds}::text[])`;
}
