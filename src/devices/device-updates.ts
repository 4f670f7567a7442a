import type { Queryable, Tx } from "#src/homeserver/database.ts";
import type { Position } from "#src/homeserver/position.ts";

/** What of a user's devices and keys has changed, as far as other servers are told. */
export type DeviceUpdate = {
  readonly userKey: number;
  readonly position: Position;
  /** The devices that have new keys, by their keys inside. */
  readonly changed?: readonly number[];
  /** The devices that are gone. */
  readonly gone?: readonly string[];
  /** Whether the user's own keys have changed. */
  readonly ownKeys?: boolean;
};

/**
 * The most devices that are told of one by one. Of more, only the last is told, as following an update that
 * nobody was sent: so who hears of it asks for the whole list.
 */
const MOST_DEVICES = 20;

/** How many updates a position may have. An update's number is made of both. */
const PARTS = 65_536;

/** The number of an update, by which servers see whether they have missed one. */
export function updateNumber({ position, part }: { position: Position; part: number }): number {
  return position * PARTS + part;
}

/** Records, in the lane, what other servers are to be told. */
export function recordDeviceUpdates(lane: Tx, updates: readonly DeviceUpdate[]): void {
  const rows = updates.flatMap(rowsOf);
  if (rows.length === 0) return;
  void lane`
    with new as (
      select new.position, new.part, new.user_key, coalesce(new.device_id, devices.device_id) as device_id,
        new.own_keys = 1 as own_keys, new.prev_id
      from unnest(${rows.map((it) => it.position)}::bigint[], ${rows.map((it) => it.part)}::int[],
        ${rows.map((it) => it.userKey)}::bigint[], ${rows.map((it) => it.deviceId ?? null)}::text[],
        ${rows.map((it) => it.deviceKey ?? null)}::bigint[], ${rows.map((it) => Number(it.ownKeys))}::int[],
        ${rows.map((it) => it.prevId ?? null)}::bigint[])
        as new (position, part, user_key, device_id, device_key, own_keys, prev_id)
      left join devices using (device_key)
    )
    insert into device_list_updates (position, part, user_key, device_id, prev_id)
    select position, part, user_key, device_id,
      case when own_keys then null else coalesce(prev_id,
        lag(position * ${PARTS} + part) over (partition by user_key, own_keys order by position, part),
        (select known.position * ${PARTS} + known.part from device_list_updates as known
          where known.user_key = new.user_key and known.device_id is not null
          order by known.position desc, known.part desc limit 1)) end
    from new where own_keys or device_id is not null`;
}

type Row = {
  readonly position: Position;
  readonly part: number;
  readonly userKey: number;
  readonly ownKeys: boolean;
  readonly deviceId?: string;
  readonly deviceKey?: number;
  readonly prevId?: number;
};

function rowsOf({
  userKey,
  position,
  changed = [],
  gone = [],
  ownKeys = false,
}: DeviceUpdate): Row[] {
  const own = { userKey, position };
  const devices = [
    ...changed.map((deviceKey) => ({ deviceKey })),
    ...gone.map((deviceId) => ({ deviceId })),
  ];
  const isMany = devices.length > MOST_DEVICES;
  const told = isMany ? devices.slice(-1) : devices;
  const rows = told.map((it, index): Row => {
    // The first part is left free, for the update that is followed and never sent.
    const part = index + 1;
    const prevId = isMany ? updateNumber({ position, part: 0 }) : undefined;
    return { ...own, ...it, part, ownKeys: false, ...(prevId !== undefined && { prevId }) };
  });
  return ownKeys ? [...rows, { ...own, part: rows.length + 1, ownKeys }] : rows;
}

/** The number of the last update of a user's devices; 0 if there was none. */
export async function lastUpdateNumber(db: Queryable, userKey: number): Promise<number> {
  const [row] = await db<{ position: Position; part: number }[]>`
    select position, part from device_list_updates
    where user_key = ${userKey} and device_id is not null
    order by position desc, part desc limit 1`;
  return row ? updateNumber(row) : 0;
}
