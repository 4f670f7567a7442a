import type { LRUCache } from "lru-cache";
import type { Queryable } from "#src/homeserver/database.ts";
import { held } from "#src/homeserver/held.ts";
import type { Homeserver } from "#src/homeserver/homeserver.ts";
import { lru } from "#src/kit/lru.ts";

/** A pair of event type and state key: what a room's state has one event for. */
export type StatePair = readonly [type: string, stateKey: string];

type Cache = {
  readonly slots: LRUCache<string, number>;
  readonly pairs: LRUCache<number, StatePair>;
};

/** A pair's slot never changes, so it may be kept. */
const cacheOf = held((): Cache => ({
  slots: lru(200_000),
  pairs: lru(200_000),
}));

/** A pair as the key of a Map. */
export function pairKey(type: string, stateKey: string): string {
  return `${type}\0${stateKey}`;
}

/**
 * The slots of pairs, by `pairKey`; without those pairs that no room's state has ever had.
 *
 * @param db where to ask: in a transaction that holds locks, that transaction.
 */
export async function findSlots(
  hs: Homeserver,
  pairs: readonly StatePair[],
  db: Queryable = hs.sql,
): Promise<Map<string, number>> {
  const { slots } = cacheOf(hs);
  const found = new Map<string, number>();
  const unknown: StatePair[] = [];
  for (const pair of pairs) {
    const key = pairKey(...pair);
    const slot = slots.get(key);
    if (slot !== undefined) found.set(key, slot);
    // What events say of others may be anything. The database cannot even be asked for a NUL, which none has.
    else if (!pair.some((it) => it.includes("\0"))) unknown.push(pair);
  }
  if (unknown.length === 0) return found;
  const rows = await db<SlotRow[]>`
    select slot, type, state_key from state_slots
    join unnest(${unknown.map(([type]) => type)}::text[], ${unknown.map(([, stateKey]) => stateKey)}::text[])
      as wanted (type, state_key) using (type, state_key)`;
  for (const row of rows) {
    remember(hs, row);
    found.set(pairKey(row.type, row.state_key), row.slot);
  }
  return found;
}

/** The slots of pairs, made for those that have none. Committed at once, apart from any transaction. */
export async function slotsOf(
  hs: Homeserver,
  pairs: readonly StatePair[],
): Promise<Map<string, number>> {
  const { slots } = cacheOf(hs);
  const keyOf = (it: StatePair) => pairKey(...it);
  const unknown = pairs.filter((it) => !slots.has(keyOf(it)));
  const made = new Map<string, number>();
  if (unknown.length > 0) {
    for (const row of await makeSlots(hs, unknown)) {
      remember(hs, row);
      made.set(pairKey(row.type, row.state_key), row.slot);
    }
  }
  // Of those that somebody else has made in this moment the statement could not see the rows.
  const found = await findSlots(
    hs,
    pairs.filter((it) => !made.has(keyOf(it))),
  );
  for (const [key, slot] of made) found.set(key, slot);
  return found;
}

/** One statement, since most pairs that are asked for and not in memory are new. */
async function makeSlots(hs: Homeserver, pairs: readonly StatePair[]): Promise<readonly SlotRow[]> {
  return await hs.sql<SlotRow[]>`
    with wanted as (
      select distinct * from unnest(${pairs.map(([type]) => type)}::text[],
        ${pairs.map(([, stateKey]) => stateKey)}::text[]) as wanted (type, state_key)
    ), known as (
      select slot, type, state_key from state_slots join wanted using (type, state_key)
    ), made as (
      insert into state_slots (type, state_key)
      select type, state_key from wanted
      where (type, state_key) not in (select type, state_key from known)
      on conflict do nothing
      returning slot, type, state_key
    )
    select slot, type, state_key from known union all select slot, type, state_key from made`;
}

/** The pairs that slots stand for. */
export async function pairsOf(
  hs: Homeserver,
  slots: Iterable<number>,
  db: Queryable = hs.sql,
): Promise<Map<number, StatePair>> {
  const { pairs } = cacheOf(hs);
  const found = new Map<number, StatePair>();
  const unknown: number[] = [];
  for (const slot of slots) {
    const pair = pairs.get(slot);
    if (pair === undefined) unknown.push(slot);
    else found.set(slot, pair);
  }
  if (unknown.length === 0) return found;
  const rows = await db<SlotRow[]>`
    select slot, type, state_key from state_slots where slot = any(${unknown}::bigint[])`;
  for (const row of rows) {
    remember(hs, row);
    found.set(row.slot, [row.type, row.state_key]);
  }
  return found;
}

type SlotRow = { slot: number; type: string; state_key: string };

function remember(hs: Homeserver, row: SlotRow): void {
  const { slots, pairs } = cacheOf(hs);
  slots.set(pairKey(row.type, row.state_key), row.slot);
  pairs.set(row.slot, [row.type, row.state_key]);
}
