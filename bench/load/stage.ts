import type { Usage } from "../measure/gauge.ts";
import type { HttpTarget } from "./http-connection.ts";
import type { Connections } from "./population.ts";
import { type Latency, latencyOf } from "./quantiles.ts";

/** How much of a workload is run: under a minute, some minutes, hours. */
export type Size = "S" | "M" | "L";

/** What has been measured of one case in one run. */
export type Measurement = {
  /** `W1/10/c8`: the workload, what varies in it. */
  readonly id: string;
  readonly operations: number;
  readonly usage: Usage;
  /** How long the load itself ran. */
  readonly loadMs: number;
  readonly generatorCpuMs: number;
  readonly bytesFromServer: number;
  readonly bytesToServer: number;
  readonly latency?: Latency;
  /** Figures that only this workload has, by name with unit. */
  readonly figures?: Readonly<Record<string, number>>;
};

/** What is held in memory. Pages that several processes share count once, but in `serverRssBytes`. */
export type Memory = {
  readonly serverRssBytes: number;
  readonly serverBytes: number;
  readonly postgresBytes: number;
};

/** How other servers that are part of the load meet the one that is measured. */
export type FederationOfRun = {
  /** The name of the server that is measured. */
  readonly serverName: string;
  /** A certificate for servers of the load, of an authority that it believes, and its key: PEM files. */
  readonly certFile: string;
  readonly keyFile: string;
};

/** What a load may ask of those who started the server, and tell them. */
export type Stage = {
  readonly target: HttpTarget;
  readonly federation: FederationOfRun;
  readonly size: Size;
  /** Waits until everything is quiet, then starts to count. */
  begin(): Promise<void>;
  /** Waits until everything is quiet again, then says what was used since `begin`. */
  end(): Promise<Usage>;
  /** Memory of server and database, once they are quiet. */
  memory(): Promise<Memory>;
  /** What the database takes once it is vacuumed. */
  databaseBytes(): Promise<number>;
  /** How many messages to devices the database has. */
  waitingMessages(): Promise<number>;
  /** Waits until that is done too which the server does by the clock for what came before. */
  settle(): Promise<void>;
  /** Ends the server, once it has settled, and starts it again on what it has stored. The address stays. */
  restart(): Promise<void>;
  report(measurement: Measurement): Promise<void>;
};

/** A measured stretch of load. */
export type Stretch = {
  readonly operations: number;
  readonly connections: Connections;
  /** The load; it may give back the time that each operation took. */
  readonly run: () => Promise<readonly number[] | undefined>;
};

/** Runs a stretch of load between two readings of all counters. */
export async function measure(
  stage: Stage,
  id: string,
  { operations, connections, run }: Stretch,
): Promise<Measurement> {
  await stage.begin();
  const bytesBefore = connections.bytes();
  const cpuBefore = process.cpuUsage();
  const start = performance.now();
  const times = await run();
  const loadMs = performance.now() - start;
  const cpu = process.cpuUsage(cpuBefore);
  const bytes = connections.bytes();
  const latency = latencyOf(times ?? []);
  return {
    id,
    operations,
    usage: await stage.end(),
    loadMs,
    generatorCpuMs: (cpu.user + cpu.system) / 1000,
    bytesFromServer: bytes.read - bytesBefore.read,
    bytesToServer: bytes.written - bytesBefore.written,
    ...(latency && { latency }),
  };
}
