import { closedLoop } from "../load/arrivals.ts";
import {
  download,
  encryptedFile,
  photograph,
  type StoredFile,
  thumbnail,
  upload,
} from "../load/files.ts";
import type { Account } from "../load/matrix-client.ts";
import { type Connections, openConnections, registerUsers } from "../load/population.ts";
import { measure, type Stage } from "../load/stage.ts";
import { warmUp } from "../load/warm-up.ts";
import { bySize, numberAt, type Workload } from "./workload.ts";

const MIB = 1024 * 1024;
const IN_FLIGHT = 4;

/** W13: files up and down, and thumbnails. One operation is a MiB, or a file that is smaller; or a thumbnail. */
export const files: Workload = {
  id: "W13",
  title: "files, thumbnails",
  beyondNull: true,
  cases: new Map([
    ["W13/16384/up", "S"],
    ["W13/16384/down", "S"],
    ["W13/1048576/up", "S"],
    ["W13/1048576/down", "S"],
    ["W13/52428800/up", "S"],
    ["W13/52428800/down", "S"],
    ["W13/thumbnail", "S"],
  ]),
  run,
};

type Run = {
  readonly stage: Stage;
  readonly connections: Connections;
  readonly account: Account;
};

async function run(stage: Stage, cases: readonly string[]): Promise<void> {
  const connections = openConnections(stage.target);
  const [account] = await registerUsers(connections, "w13-", 1);
  if (account === undefined) throw new Error("Nobody could be registered.");
  const usual = encryptedFile(256 * 1024);
  await warmUp(stage.size, async (_, lane) => {
    const stored = await upload(connections.lane(lane), account, usual);
    await download(connections.lane(lane), account, stored);
  });
  const on = { stage, connections, account };
  for (const id of cases) {
    if (id === "W13/thumbnail") await thumbnails(on, id);
    else await transfer(on, id);
  }
  connections.close();
}

async function transfer({ stage, connections, account }: Run, id: string): Promise<void> {
  const sizeBytes = numberAt(id, 1);
  const count = countOf(stage, sizeBytes);
  const file = encryptedFile(sizeBytes);
  const stored: StoredFile[] = [];
  const up = async (index: number, lane: number) => {
    stored[index] = await upload(connections.lane(lane), account, file);
  };
  const down = async (index: number, lane: number) => {
    const one = stored[index % stored.length];
    if (one) await download(connections.lane(lane), account, one);
  };
  const isUp = id.endsWith("/up");
  if (!isUp) await up(0, 0);
  const measurement = await measured(
    { stage, connections, account },
    { id, count, operations: count * Math.max(1, sizeBytes / MIB), task: isUp ? up : down },
  );
  // What went up comes down as it was.
  if (isUp) await closedLoop({ count, inFlight: IN_FLIGHT }, down);
  await stage.report(measurement);
}

/** Enough of each size to be counted: 400 small ones; 256 MiB; 600 MiB of large ones. */
function countOf({ size }: Stage, sizeBytes: number): number {
  const small = sizeBytes < MIB ? 400 : sizeBytes > MIB ? 12 : 256;
  return small * bySize(size, [1, 5, 20]);
}

async function thumbnails({ stage, connections, account }: Run, id: string): Promise<void> {
  const count = bySize(stage.size, [12, 60, 200]);
  const photos: StoredFile[] = [];
  await closedLoop({ count: count + 2, inFlight: 2 }, async (index, lane) => {
    photos[index] = await upload(connections.lane(lane), account, await photograph(index));
  });
  const task = async (index: number, lane: number) => {
    const photo = photos[index];
    if (photo) await thumbnail(connections.lane(lane), account, photo);
  };
  await task(count, 0);
  await task(count + 1, 0);
  const of = { id, count, operations: count, task };
  await stage.report(await measured({ stage, connections, account }, of));
}

async function measured(
  { stage, connections }: Run,
  {
    id,
    count,
    operations,
    task,
  }: {
    readonly id: string;
    readonly count: number;
    readonly operations: number;
    readonly task: (index: number, lane: number) => Promise<void>;
  },
) {
  const times: number[] = [];
  const measurement = await measure(stage, id, {
    operations,
    connections,
    run: async () => {
      await closedLoop({ count, inFlight: IN_FLIGHT }, async (index, lane) => {
        const start = performance.now();
        await task(index, lane);
        times.push(performance.now() - start);
      });
      return times;
    },
  });
  const { serverPeakGrowthBytes } = measurement.usage;
  return { ...measurement, figures: { serverPeakGrowthBytes } };
}
