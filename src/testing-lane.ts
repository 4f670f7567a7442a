import type { Homeserver } from "#src/homeserver/homeserver.ts";
import { registry } from "#src/homeserver/metrics.ts";

/** How often a group was not stored by the one statement that was to. */
export async function timesRepeated(): Promise<number> {
  const metric = await registry.getSingleMetric("archipel_write_groups_repeated_total")?.get();
  return metric?.values[0]?.value ?? 0;
}

/** How many transactions the lane of a homeserver makes meanwhile. */
export async function transactionsDuring(
  hs: Homeserver,
  work: () => Promise<unknown>,
): Promise<number> {
  const { lane } = hs;
  let count = 0;
  const counting: typeof lane = {
    ...lane,
    transaction: async (its) => {
      count++;
      return await lane.transaction(its);
    },
  };
  Object.assign(hs, { lane: counting });
  await work();
  Object.assign(hs, { lane });
  return count;
}
