import { held } from "#src/homeserver/held.ts";
import type { Homeserver } from "#src/homeserver/homeserver.ts";
import { lru } from "#src/kit/lru.ts";
import { eventsOf } from "#src/rooms/find-event.ts";
import { entriesOfStates } from "#src/rooms/state-map/read-entries.ts";
import { pairsOf } from "#src/rooms/state-slots.ts";
import { viaOf } from "#src/spaces/space-child.ts";

/** A state never changes, so what it says may be kept. */
const childrenOf = held(() => lru<number, ReadonlySet<string>>(1_000));

/** The IDs of the rooms that are directly in any of some spaces, by the spaces' own word. */
export async function roomsInSpaces(
  hs: Homeserver,
  spaceKeys: readonly number[],
): Promise<ReadonlySet<string>> {
  if (spaceKeys.length === 0) return new Set();
  const rows = await hs.sql<{ state_root: number }[]>`
    select state_root from rooms where room_key = any(${spaceKeys}::bigint[])`;
  const known = childrenOf(hs);
  const roots = rows.map((it) => it.state_root);
  const unknown = roots.filter((it) => !known.has(it));
  for (const [root, children] of await readChildren(hs, unknown)) known.set(root, children);
  return new Set(roots.flatMap((it) => [...(known.get(it) ?? [])]));
}

async function readChildren(
  hs: Homeserver,
  roots: readonly number[],
): Promise<ReadonlyMap<number, ReadonlySet<string>>> {
  if (roots.length === 0) return new Map();
  const states = await entriesOfStates(hs, hs.sql, roots);
  const pairs = await pairsOf(hs, new Set([...states.values()].flatMap((it) => it.slots)));
  const keys = new Map(
    [...states].map(([root, { slots, events }]) => [
      root,
      events.filter((_, index) => pairs.get(slots[index] ?? 0)?.[0] === "m.space.child"),
    ]),
  );
  const events = await eventsOf(hs, [...keys.values()].flat());
  return new Map(
    [...keys].map(([root, its]) => {
      const children = its.flatMap((it) => events.get(it) ?? []);
      // No redaction leaves a child.
      const there = children.filter((it) => it.redactedBy === undefined && viaOf(it).length > 0);
      return [root, new Set(there.flatMap((it) => it.stateKey ?? []))];
    }),
  );
}
