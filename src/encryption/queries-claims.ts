import type { Tx } from "#src/homeserver/database.ts";
import type { Position, UnixMs } from "#src/homeserver/position.ts";
import type { ClaimedKey } from "./stored-write.ts";

/** A wish for one key of a device. */
export type Claim = { readonly deviceKey: number; readonly algorithm: string };

export type PlacedClaim = Claim & { readonly position: Position };

type Row = ClaimedKey & {
  readonly position: Position;
  readonly userKey: number;
  /** Whether the device has fewer keys for it: it has not if the key was used already. */
  readonly changed: boolean;
};

/**
 * Hands out a key for each claim: the oldest one-time key, which is deleted with it, or the fallback
 * key when there is none. Nothing for a device that has neither.
 */
export async function takeKeys(
  lane: Tx,
  claims: readonly PlacedClaim[],
  now: UnixMs,
): Promise<Row[]> {
  return await lane<Row[]>`
    with wanted as (
      select device_key, algorithm, array_agg(position order by place) as positions
      from unnest(${claims.map((it) => it.position)}::bigint[],
        ${claims.map((it) => it.deviceKey)}::bigint[], ${claims.map((it) => it.algorithm)}::text[])
        with ordinality as claim (position, device_key, algorithm, place)
      group by device_key, algorithm
    ), oldest as (
      select found.*, positions[row_number()
        over (partition by found.device_key, found.algorithm order by found.ordinal)] as position
      from wanted cross join lateral (
        select * from one_time_keys
        where device_key = wanted.device_key and algorithm = wanted.algorithm
        order by ordinal limit cardinality(positions)
      ) as found
    ), taken as (
      delete from one_time_keys using oldest
      where one_time_keys.device_key = oldest.device_key
        and one_time_keys.algorithm = oldest.algorithm and one_time_keys.key_id = oldest.key_id
      returning oldest.position, oldest.device_key, oldest.algorithm, oldest.key_id, oldest.json
    ), noted as (
      insert into claimed_keys (device_key, algorithm, key_id, json, claimed_at_ms)
      select device_key, algorithm, key_id, json, ${now}::bigint from taken
      on conflict (device_key, algorithm, key_id) do update
        set json = excluded.json, claimed_at_ms = excluded.claimed_at_ms
    ), left_over as (
      select device_key, algorithm, positions[number + 1:] as positions
      from wanted cross join lateral (
        select count(*)::int as number from (
          select from one_time_keys
          where device_key = wanted.device_key and algorithm = wanted.algorithm
          limit cardinality(positions)) as found
      ) as counted
      where number < cardinality(positions)
    ), fallback as (
      select found.*, positions from left_over cross join lateral (
        select * from fallback_keys
        where device_key = left_over.device_key and algorithm = left_over.algorithm offset 0
      ) as found
    ), used as (
      update fallback_keys set used = true from fallback
      where not fallback.used and fallback_keys.device_key = fallback.device_key
        and fallback_keys.algorithm = fallback.algorithm
    ), given as (
      select position, device_key, algorithm, key_id, json, true as changed from taken
      union all
      select unnest(positions), device_key, algorithm, key_id, json, not used from fallback
    )
    select position, user_key as "userKey", device_key as "deviceKey", algorithm, key_id as "keyId",
      json, changed
    from given join devices using (device_key)`;
}
