import type { ChildProcess } from "node:child_process";
import { createInterface } from "node:readline";
import { setTimeout as sleep } from "node:timers/promises";
import type { Cluster } from "./embedded-postgres-cluster.ts";
import { spawnKept } from "./embedded-postgres-keeper.ts";
import { readPostmasterFile } from "./embedded-postgres-leftovers.ts";

/** One run of the server. */
export type PostgresProcess = {
  /** How the run ended. It never rejects. */
  readonly ended: Promise<string>;
  /** Closes the pipe that the server's life hangs on. */
  release(): void;
};

/** For machines from a small virtual one up; bigger ones have a PostgreSQL of their own. */
const SETTINGS = {
  listen_addresses: "",
  unix_socket_permissions: "0700",
  max_connections: "100",
  shared_buffers: "128MB",
  huge_pages: "try",
  jit: "off",
  max_wal_size: "1GB",
  wal_compression: "on",
  // Worker processes for reading and for parallel queries cost memory that a small machine misses.
  io_method: "sync",
  max_parallel_workers_per_gather: "0",
  // Before it replays its log after a crash it has everything put on the disk: file by file, which takes seconds
  // on a busy disk, or with one call that only Linux has.
  recovery_init_sync_method: process.platform === "linux" ? "syncfs" : "fsync",
  // What they do at rest is to look whether there is anything to do: that is soon enough once a second, not five times.
  bgwriter_delay: "1s",
  wal_writer_delay: "1s",
  // Statements, values and the messages of mere errors may hold private text: what the server itself
  // has to say is enough.
  log_min_messages: "log",
  log_min_error_statement: "panic",
  log_error_verbosity: "terse",
  log_checkpoints: "off",
  log_line_prefix: "",
  timezone: "UTC",
  log_timezone: "UTC",
} as const;

/** For tests, whose many servers share it. */
const NOT_DURABLE = {
  fsync: "off",
  synchronous_commit: "off",
  full_page_writes: "off",
  max_connections: "400",
} as const;

/**
 * Starts the server of a cluster and waits until it takes connections, also through the recovery after a crash.
 *
 * @throws Error with the server's last words when it ends before that; what `signal` was aborted with, when the
 *   server has ended.
 */
export async function startPostgresProcess(
  cluster: Cluster,
  signal?: AbortSignal,
): Promise<PostgresProcess> {
  const settings = {
    ...SETTINGS,
    ...(cluster.durable ? {} : NOT_DURABLE),
    cluster_name: cluster.name,
    unix_socket_directories: cluster.socketDir,
  };
  const server: [string, ...string[]] = [
    cluster.binaries.postgres,
    "-D",
    cluster.directory,
    ...Object.entries(settings).flatMap(([name, value]) => ["-c", `${name}=${value}`]),
  ];
  const child = spawnKept(cluster.user, server, [cluster.directory, cluster.socketDir]);
  child.stdin?.end();
  child.stdout?.resume();
  const lastWords = readLog(child, cluster);
  let how: string | undefined;
  const ended = new Promise<string>((settle) => {
    child.once("error", (error) => settle(error.message));
    child.once("exit", (code, signal) => settle(signal ?? `exit status ${code}`));
  }).then((result) => (how = result));

  const release = () => child.stdio[3]?.destroy();

  const seenBefore = Date.now();
  let saidSo = false;
  while (readPostmasterFile(cluster.directory)?.status !== "ready") {
    if (how !== undefined) {
      await sleep(20); // for what is still in the pipe
      throw new Error(`PostgreSQL did not start (${how}): ${lastWords().join(" | ")}`);
    }
    if (signal?.aborted) {
      release();
      await ended;
      throw signal.reason;
    }
    if (!saidSo && Date.now() - seenBefore > 5_000) {
      saidSo = true;
      cluster.log.info("PostgreSQL is still starting: it replays its log after a crash");
    }
    await sleep(5);
  }
  return { ended, release };
}

/** Passes the server's log on to ours, and gives back a look at its last lines. */
function readLog(child: ChildProcess, { log }: Cluster): () => readonly string[] {
  const last: string[] = [];
  if (child.stderr !== null) {
    createInterface({ input: child.stderr }).on("line", (line) => {
      last.push(line);
      if (last.length > 12) last.shift();
      if (/^(FATAL|PANIC):/.test(line)) log.warn({ postgres: line }, "PostgreSQL says");
      else log.debug({ postgres: line }, "PostgreSQL says");
    });
  }
  return () => last;
}
