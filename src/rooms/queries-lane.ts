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

/** The versions of the heads of the rooms that exist already. */
export async function readVersions(
  lane: Tx,
  writes: readonly RoomWrite[],
): Promise<ReadonlyMap<number, number>> {
  const keys = new Set(writes.flatMap((it) => ("roomKey" in it.room ? [it.room.roomKey] : [])));
  if (keys.size === 0) return new Map();
  const rows = await lane<{ room_key: number; head_version: number }[]>`
    select room_key, head_version from rooms where room_key = any(${[...keys]}::bigint[])`;
  return new Map(rows.map((it) => [it.room_key, it.head_version]));
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
    select * from unnest(${rooms.map((it) => it.newRoom)}::text[], ${rooms.map((it) => it.version)}::text[])
    on conflict do nothing
    returning room_key, room_id`;
  return new Map(rows.map((it) => [it.room_id, it.room_key]));
}

/** Which of the transaction IDs have been used before. */
export async function knownTransactions(
  lane: Tx,
  writes: readonly RoomWrite[],
): Promise<KnownTransactions> {
  const its = writes.flatMap(({ room, transaction }) =>
    transaction && "roomKey" in room ? [{ ...transaction, roomKey: room.roomKey }] : [],
  );
  if (its.length === 0) return new Map();
  const rows = await lane<
    { device_key: number; txn_id: string; room_key: number; type: string; event_key: number }[]
  >`
    select device_key, txn_id, room_key, type, event_key from events
    join unnest(${its.map((it) => it.deviceKey)}::bigint[], ${its.map((it) => it.txnId)}::text[],
      ${its.map((it) => it.roomKey)}::bigint[], ${its.map((it) => it.type)}::text[])
      as asked (device_key, txn_id, room_key, type) using (device_key, txn_id, room_key, type)`;
  return new Map(
    rows.map((it) => [
      transactionKey({
        deviceKey: it.device_key,
        txnId: it.txn_id,
        roomKey: it.room_key,
        type: it.type,
      }),
      it.event_key,
    ]),
  );
}
