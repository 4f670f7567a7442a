import { createHash } from "node:crypto";
import { accessSync, constants, mkdirSync, mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import type { Logger } from "pino";
import { lockDataDirectory } from "./data-directory-lock.ts";
import { findPostgresBinaries, type PostgresBinaries } from "./embedded-postgres-binaries.ts";
import { type Cluster, createCluster } from "./embedded-postgres-cluster.ts";
import { endLeftovers, endServer, readPostmasterFile } from "./embedded-postgres-leftovers.ts";
import { type PostgresProcess, startPostgresProcess } from "./embedded-postgres-process.ts";
import { giveTo, postgresUser } from "./embedded-postgres-user.ts";

/** How many starts in a row may fail before we stop trying. */
const MAX_FAILED_STARTS = 8;

/** The longest path of a unix socket, by the smallest `sun_path` of our platforms. */
const MAX_SOCKET_PATH = 100;

/** A PostgreSQL of our own. */
export type EmbeddedPostgres = {
  /** Where to connect, as a URL that `connect` and `psql` understand. */
  readonly url: string;
  /** Ends the server with a checkpoint and lets go of the data directory. Done when it has ended. */
  stop(): Promise<void>;
};

export type EmbeddedPostgresOptions = {
  /** Where everything of ours is kept; the cluster goes into its `postgres`. Made if it is not there. */
  readonly dataDir: string;
  readonly log: Logger;
  /** Ends the start when it is aborted. Afterwards there is `stop`. */
  readonly signal?: AbortSignal;
  /** False for tests only: nothing survives a crash of the machine, and everything is quicker. */
  readonly durable?: boolean;
  /** Told when the server ended and could not be started again: there is no going on then. */
  readonly onGivenUp?: (cause: Error) => void;
};

/**
 * Starts a PostgreSQL server on a data directory, making the cluster the first time. Nobody but us
 * reaches it: it listens on a unix socket alone, in a directory that is closed to others.
 *
 * It cannot outlive this process: a shell between us holds a pipe from us and ends it when that closes. If it
 * ends by itself, it is started again.
 *
 * @throws Error when another process has the data directory, there are no binaries for this platform,
 *   the server does not start, or `signal` is aborted; the message says what to do.
 */
export async function startEmbeddedPostgres(
  options: EmbeddedPostgresOptions,
): Promise<EmbeddedPostgres> {
  const binaries = findPostgresBinaries();
  const dataDir = resolve(options.dataDir);
  makeDataDirectory(dataDir);
  const lock = await lockDataDirectory(dataDir);
  try {
    const cluster = await openCluster(dataDir, binaries, options);
    const first = await startPostgresProcess(cluster, options.signal);
    const keeper = keepRunning(cluster, first, options.onGivenUp);
    return {
      url: `postgres://archipel@localhost/archipel?host=${encodeURIComponent(cluster.socketDir)}`,
      async stop() {
        await keeper.stop();
        rmSync(cluster.socketDir, { recursive: true, force: true });
        lock.release();
      },
    };
  } catch (error) {
    lock.release();
    throw error;
  }
}

/** @throws Error when we may not write to it. */
function makeDataDirectory(dataDir: string): void {
  const self = process.getuid?.();
  try {
    // The user that runs PostgreSQL for root must pass through to the cluster, which is closed itself.
    mkdirSync(dataDir, { recursive: true, mode: self === 0 ? 0o711 : 0o700 });
    accessSync(dataDir, constants.W_OK);
  } catch (cause) {
    const we = self === undefined ? "us" : `user ${self}`;
    throw new Error(
      `${dataDir} cannot be written to by ${we}: give it to ${we} with chown -R, or set dataDir ` +
        "(ARCHIPEL_DATA_DIR) to another directory.",
      { cause },
    );
  }
}

async function openCluster(
  dataDir: string,
  binaries: PostgresBinaries,
  { log, signal, durable = true }: EmbeddedPostgresOptions,
): Promise<Cluster> {
  const directory = join(dataDir, "postgres");
  const name = `archipel-${createHash("sha256").update(directory).digest("hex").slice(0, 12)}`;
  const user = postgresUser(dataDir, directory);
  const before = readPostmasterFile(directory)?.socketDir;
  if (await endLeftovers(directory, name)) {
    log.warn("ended a PostgreSQL that an earlier process, killed, had left behind");
  }
  if (before?.startsWith(join(placeForSockets(), "archipel-"))) {
    rmSync(before, { recursive: true, force: true });
  }
  const cluster = {
    directory,
    name,
    socketDir: makeSocketDir(dataDir),
    binaries,
    user,
    durable,
    log,
  };
  await createCluster(cluster, signal);
  if (user !== undefined) giveTo(user, cluster.socketDir);
  checkVersion(directory);
  return cluster;
}

function makeSocketDir(dataDir: string): string {
  const directory = join(dataDir, "run");
  if (isShortEnough(directory)) {
    rmSync(directory, { recursive: true, force: true });
    mkdirSync(directory, { mode: 0o700 });
    return directory;
  }
  return mkdtempSync(join(placeForSockets(), "archipel-"));
}

/** Where the sockets of data directories with long paths are: for temporary files, unless that is a long path, too. */
function placeForSockets(): string {
  return isShortEnough(join(tmpdir(), "archipel-123456")) ? tmpdir() : "/tmp";
}

function isShortEnough(socketDir: string): boolean {
  return join(socketDir, ".s.PGSQL.5432").length <= MAX_SOCKET_PATH;
}

function checkVersion(directory: string): void {
  const version = readFileSync(join(directory, "PG_VERSION"), "utf8").trim();
  if (version === "18") return;
  throw new Error(
    `${directory} was made by PostgreSQL ${version} and ours is 18: dump it with the version of ` +
      "Archipel that made it, and load the dump into a new data directory.",
  );
}

/** Starts the server again whenever it ends, until it is told to stop. */
function keepRunning(
  cluster: Cluster,
  first: PostgresProcess,
  onGivenUp: ((cause: Error) => void) | undefined,
): { stop(): Promise<void> } {
  const stopping = new AbortController();
  let current = first;
  const watch = (async () => {
    while (!stopping.signal.aborted) {
      const how = await current.ended;
      if (stopping.signal.aborted) return;
      cluster.log.error({ how }, "PostgreSQL ended; starting it again");
      const next = await startAgain(cluster, stopping.signal);
      if (next instanceof Error) return onGivenUp?.(next);
      current = next;
    }
  })();
  return {
    async stop() {
      stopping.abort();
      await endRunning(cluster);
      await watch;
      // One more that had just begun when we were told to stop.
      await endRunning(cluster);
      current.release();
    },
  };
}

async function startAgain(
  cluster: Cluster,
  stopping: AbortSignal,
): Promise<PostgresProcess | Error> {
  let cause = new Error("PostgreSQL was told to stop");
  for (let failures = 0; failures < MAX_FAILED_STARTS && !stopping.aborted; failures++) {
    try {
      await endLeftovers(cluster.directory, cluster.name);
      return await startPostgresProcess(cluster, stopping);
    } catch (error) {
      cause = error instanceof Error ? error : new Error(String(error));
      cluster.log.error({ err: cause }, "PostgreSQL did not start");
      await sleep(Math.min(5_000, 100 * 2 ** failures), undefined, { signal: stopping }).catch(
        () => undefined,
      );
    }
  }
  return cause;
}

async function endRunning(cluster: Cluster): Promise<void> {
  const pid = readPostmasterFile(cluster.directory)?.pid;
  if (pid !== undefined) await endServer(pid);
}
