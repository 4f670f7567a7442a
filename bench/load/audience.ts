import { setTimeout as sleep } from "node:timers/promises";
import { closedLoop } from "./arrivals.ts";
import type { HttpTarget } from "./http-connection.ts";
import { type LongPoller, startLongPoller, type Synced } from "./long-poller.ts";
import { storeFilter, sync } from "./matrix-client.ts";
import type { Connections, Room } from "./population.ts";

/** How long a member may wait for what was sent. */
const PATIENCE_MS = 60_000;

/** So many events of a room may come in one answer before it says that it left some out. */
const FILTER = { room: { timeline: { limit: 100 } } };

/** Has every member of a room do its first sync. */
export async function firstSyncs(connections: Connections, { members }: Room): Promise<Synced[]> {
  const synced: Synced[] = [];
  await closedLoop({ count: members.length, inFlight: 4 }, async (index, lane) => {
    const account = members[index];
    if (account === undefined) return;
    const connection = connections.lane(lane);
    const filter = await storeFilter(connection, account, FILTER);
    const { nextBatch } = await sync(connection, account, { filter });
    synced[index] = { account, filter, since: nextBatch };
  });
  return synced;
}

/** Lets everybody poll, and waits until all polls have reached the server and wait there. */
export async function startAudience(
  target: HttpTarget,
  synced: readonly Synced[],
  onEvents?: (marks: readonly number[], atMs: number) => void,
): Promise<LongPoller[]> {
  const pollers: LongPoller[] = [];
  for (const one of synced) {
    pollers.push(startLongPoller(target, one, onEvents));
    if (pollers.length % 50 === 0) await sleep(20);
  }
  await sleep(500);
  return pollers;
}

/**
 * Waits until everybody has seen so many events.
 *
 * @throws Error when somebody has not in a minute
 */
export async function untilAllSaw(pollers: readonly LongPoller[], count: number): Promise<void> {
  const late = new AbortController();
  const everybody = Promise.all(pollers.map(async (poller) => await poller.untilSeen(count)));
  const alarm = sleep(PATIENCE_MS, undefined, { signal: late.signal }).then(
    () => {
      const behind = pollers.filter(({ seen }) => seen.marks.length < count);
      const [first] = behind;
      throw new Error(
        `${behind.length} members were without event ${count} after a minute; ` +
          `${first?.seen.who} had ${first?.seen.marks.length}`,
      );
    },
    () => undefined,
  );
  try {
    await Promise.race([everybody, alarm]);
  } finally {
    late.abort();
  }
}

/** Bytes over connections and pollers together, for the count of a stretch. */
export function withPollers(connections: Connections, pollers: readonly LongPoller[]): Connections {
  return {
    ...connections,
    bytes() {
      const total = { ...connections.bytes() };
      for (const { connection } of pollers) {
        total.read += connection.bytesRead;
        total.written += connection.bytesWritten;
      }
      return total;
    },
  };
}
