import type { Queryable, Tx } from "#src/homeserver/database.ts";
import type { Position } from "#src/homeserver/position.ts";
import type { Change } from "#src/streams/stream.ts";

/**
 * The name, in its `Change`s, of the news that a device has more or fewer one-time and fallback keys.
 * Each has user and device.
 */
export const KEY_SUPPLY = "key-supply";

/** The detail of such a change: whether keys were handed out, rather than uploaded. */
export type KeySupplyDetail = { readonly claimed: boolean };

export type SupplyChange = {
  readonly position: Position;
  readonly userKey: number;
  readonly deviceKey: number;
  readonly claimed: boolean;
};

/** Records that the supplies of devices have changed. Each device at most once. */
export async function recordSupplyChanges(lane: Tx, changes: readonly SupplyChange[]) {
  if (changes.length === 0) return;
  await lane`
    insert into key_supply_changes (device_key, position, claimed)
    select device_key, position, claimed = 'true' from unnest(
      ${changes.map((it) => it.deviceKey)}::bigint[], ${changes.map((it) => it.position)}::bigint[],
      ${changes.map((it) => String(it.claimed))}::text[]) as new (device_key, position, claimed)
    on conflict (device_key) do update
      set position = excluded.position, claimed = excluded.claimed`;
}

/** The changes of supplies in a range. Of several of one device, the last. */
export async function supplyChangesBetween(
  sql: Queryable,
  after: Position,
  upTo: Position,
): Promise<readonly Change[]> {
  const rows = await sql<SupplyChange[]>`
    select position, user_key as "userKey", device_key as "deviceKey", claimed
    from key_supply_changes join devices using (device_key)
    where position > ${after} and position <= ${upTo}`;
  return rows.map(supplyChange);
}

export function supplyChange({ claimed, ...it }: SupplyChange): Change {
  const detail: KeySupplyDetail = { claimed };
  return { ...it, stream: KEY_SUPPLY, detail };
}
