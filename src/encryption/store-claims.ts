import type { Tx } from "#src/homeserver/database.ts";
import type { UnixMs } from "#src/homeserver/position.ts";
import type { Placed } from "#src/streams/stream.ts";
import { recordSupplyChanges, supplyChange, type SupplyChange } from "./key-supply.ts";
import { type Claim, takeKeys } from "./queries-claims.ts";
import type { StoredWrite } from "./stored-write.ts";

/** Keys that are claimed in one request. */
export type ClaimWrite = { readonly kind: "claim"; readonly claims: readonly Claim[] };

/** Hands out keys. Each one-time key goes to one claim, since only one process has the lane. */
export async function storeClaims(
  lane: Tx,
  placed: readonly Placed<ClaimWrite>[],
  now: UnixMs,
): Promise<Map<number, StoredWrite>> {
  const claims = placed.flatMap(({ position, write }) =>
    write.claims.map((it) => ({ ...it, position })),
  );
  if (claims.length === 0) return new Map(placed.map((it) => [it.position, nothing()]));
  const rows = await takeKeys(lane, claims, now);
  const changes = new Map<number, SupplyChange>();
  for (const { changed, position, userKey, deviceKey } of rows) {
    if (!changed || position < (changes.get(deviceKey)?.position ?? 0)) continue;
    changes.set(deviceKey, { position, userKey, deviceKey, claimed: true });
  }
  await recordSupplyChanges(lane, [...changes.values()]);

  const taken = Map.groupBy(rows, (it) => it.position);
  const told = Map.groupBy(changes.values(), (it) => it.position);
  return new Map(
    placed.map(({ position }): [number, StoredWrite] => [
      position,
      {
        result: { claimed: taken.get(position) ?? [] },
        changes: (told.get(position) ?? []).map(supplyChange),
      },
    ]),
  );
}

function nothing(): StoredWrite {
  return { result: { claimed: [] }, changes: [] };
}
