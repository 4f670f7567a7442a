import { once } from "node:events";
import { existsSync, mkdtempSync, readdirSync, renameSync, rmSync, statSync } from "node:fs";
import { basename, dirname, join } from "node:path";
import { text } from "node:stream/consumers";
import type { Logger } from "pino";
import type { PostgresBinaries } from "./embedded-postgres-binaries.ts";
import { spawnKept } from "./embedded-postgres-keeper.ts";
import { giveTo, namedUser, type PostgresUser } from "./embedded-postgres-user.ts";

/** What stays the same over all starts of one cluster. */
export type Cluster = {
  readonly directory: string;
  /** The name its processes carry in `ps`. */
  readonly name: string;
  readonly socketDir: string;
  readonly binaries: PostgresBinaries;
  readonly user: PostgresUser | undefined;
  readonly durable: boolean;
  readonly log: Logger;
};

/**
 * Makes the cluster if it is not there, with the database `archipel` in it. It gets its name only when it is
 * complete, so that a process killed in the middle leaves nothing that looks like one.
 *
 * @throws Error with what `initdb` said, also when `signal` was aborted.
 */
export async function createCluster(cluster: Cluster, signal?: AbortSignal): Promise<void> {
  const { directory, user } = cluster;
  removeUnfinished(directory);
  if (existsSync(directory)) {
    if (user !== undefined && statSync(directory).uid !== user.uid) giveTo(user, directory);
    return;
  }
  cluster.log.info({ directory }, "making the database; this happens once");
  const unfinished = mkdtempSync(`${directory}.new-`);
  const maker = user === undefined ? undefined : namedUser();
  if (maker !== undefined) giveTo(maker, unfinished);
  const make = { user: maker, directory: unfinished, ...(signal && { signal }) };
  await run(make, [
    cluster.binaries.initdb,
    `--pgdata=${unfinished}`,
    "--username=archipel",
    "--auth=trust",
    "--encoding=UTF8",
    // Sorts by code point as "C" does, and knows upper from lower case in every script.
    "--locale=C",
    "--locale-provider=builtin",
    "--builtin-locale=C.UTF-8",
    "--no-instructions",
    ...(cluster.durable ? [] : ["--no-sync"]),
  ]);
  const single = [cluster.binaries.postgres, "--single", "-D", unfinished] as const;
  await run(make, [...single, "postgres"], "create database archipel;\n");
  if (user !== undefined) giveTo(user, unfinished);
  renameSync(unfinished, directory);
}

/** What killed processes had begun to make. Its maker may be writing still, until it notices. */
function removeUnfinished(directory: string): void {
  for (const entry of readdirSync(dirname(directory))) {
    if (!entry.startsWith(`${basename(directory)}.new-`)) continue;
    try {
      rmSync(join(dirname(directory), entry), { recursive: true, force: true });
    } catch {
      // The next start that makes a cluster tries again.
    }
  }
}

type Make = {
  readonly user: PostgresUser | undefined;
  readonly directory: string;
  readonly signal?: AbortSignal;
};

/** Runs a program to its end. @throws Error with what it said when it fails. */
async function run(
  { user, directory, signal }: Make,
  command: readonly [string, ...string[]],
  input = "",
): Promise<void> {
  signal?.throwIfAborted();
  const child = spawnKept(user, command, [directory]);
  const closed = once(child, "close");
  const end = () => child.stdio[3]?.destroy();
  signal?.addEventListener("abort", end);
  child.stdin?.end(input);
  const [said] = await Promise.all([
    child.stderr === null ? "" : text(child.stderr),
    child.stdout === null ? "" : text(child.stdout),
    closed,
  ]);
  signal?.removeEventListener("abort", end);
  if (child.exitCode !== 0) {
    throw new Error(`PostgreSQL could not be set up in ${directory}: ${said.trim()}`);
  }
}
