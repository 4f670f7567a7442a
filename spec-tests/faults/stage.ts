import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import pino from "pino";
import { connect } from "#src/homeserver/database.ts";
import { startEmbeddedPostgres } from "#src/homeserver/embedded-postgres.ts";
import { type HomeserverUnderTest, startHomeserver } from "../homeserver-under-test.ts";
import type { Dice } from "../oracle/dice.ts";
import { demandWithin, type Request } from "./call.ts";
import {
  awaitEndOf,
  killProcess,
  type PostgresOwner,
  postgresOf,
  type PostgresProcesses,
} from "./victims.ts";

export type StageOptions = {
  /** How many servers run on one database. */
  readonly processes: number;
  /** A PostgreSQL to use instead of one of our own. Of that, no process is killed. */
  readonly databaseUrl?: string | undefined;
};

/** Servers on one database whose processes are killed and come back. Their data lasts as long as the stage. */
export type Stage = {
  /** Where the servers listen, also while they do not. */
  readonly urls: readonly string[];
  /** Kills something at random. @returns what it was */
  strike(dice: Dice): Promise<string>;
  /**
   * Starts the servers that were killed, and waits until each carries out a request that writes. What else was
   * killed must come back by itself.
   *
   * @returns how long it took, in milliseconds
   * @throws Error if it takes longer than half a minute, or if a server has ended that was not killed
   */
  recover(dice: Dice, probe: Request): Promise<number>;
  close(): Promise<void>;
};

/** After how long it is certain that something does not come back, also on a machine with much else to do. */
const RECOVERY_MS = 30_000;

type Database = {
  readonly url: string | undefined;
  /** Who has started its PostgreSQL; undefined if that is not ours to kill. */
  readonly owner: (() => PostgresOwner | undefined) | undefined;
  close(): Promise<void>;
};

/** Starts everything. */
export async function openStage(options: StageOptions): Promise<Stage> {
  const servers: HomeserverUnderTest[] = [];
  const database = await openDatabaseFor(options, servers);
  const close = async () => {
    await Promise.all(servers.map(async (it) => await it.dispose()));
    await database.close();
  };
  try {
    const env = database.url === undefined ? {} : { DATABASE_URL: database.url };
    for (let count = 0; count < options.processes; count++) {
      servers.push(await startHomeserver({ env }));
    }
  } catch (error) {
    await close();
    throw error;
  }
  const killed = new Set<HomeserverUnderTest>();
  const blows = blowsAt(servers, database, async (server) => {
    killed.add(server);
    await server.kill();
  });
  return {
    urls: servers.map((it) => it.url),
    async strike(dice) {
      for (;;) {
        const [name, blow] = dice.weighted(blows);
        if (await blow(dice)) return name;
      }
    },
    async recover(dice, probe) {
      // The PostgreSQL of a killed server may be ending still, or have ended already.
      if (killed.size > 0) await sleep(dice.below(300));
      const begun = performance.now();
      await Promise.all([...killed].map(async (it) => await it.start()));
      killed.clear();
      for (const { url } of servers) await demandWithin(RECOVERY_MS, url, probe);
      const gone = servers.find((it) => it.pid === undefined);
      if (gone) throw new Error(`${gone.url} has ended, and nobody killed it`);
      return performance.now() - begun;
    },
    close,
  };
}

async function openDatabaseFor(
  { processes, databaseUrl }: StageOptions,
  servers: readonly HomeserverUnderTest[],
): Promise<Database> {
  const nothing = async () => await Promise.resolve();
  if (databaseUrl !== undefined) {
    return { url: databaseUrl, owner: undefined, close: nothing };
  }
  if (processes === 1) {
    const owner = () => {
      const pid = servers[0]?.pid;
      return pid === undefined ? undefined : { pid };
    };
    return { url: undefined, owner, close: nothing };
  }
  const dataDir = mkdtempSync(join(tmpdir(), "archipel-stage-"));
  const postgres = await startEmbeddedPostgres({ dataDir, log: pino({ level: "silent" }) });
  return {
    url: postgres.url,
    owner: () => ({ pid: process.pid, cluster: join(dataDir, "postgres") }),
    async close() {
      await postgres.stop();
      rmSync(dataDir, { recursive: true, force: true });
    },
  };
}

/** Does it. @returns whether there was anything to kill */
type Blow = (dice: Dice) => Promise<boolean>;

function blowsAt(
  servers: readonly HomeserverUnderTest[],
  database: Database,
  killServer: (server: HomeserverUnderTest) => Promise<void>,
): (readonly [weight: number, named: readonly [string, Blow]])[] {
  const server: Blow = async (dice) => {
    await killServer(dice.pick(servers));
    return true;
  };
  const { url, owner } = database;
  if (owner === undefined) {
    return [
      [3, ["server", server]],
      [1, ["connection", async () => await cutConnection(url ?? "")]],
    ];
  }
  const postgres = () => {
    const from = owner();
    return from && postgresOf(from);
  };
  const one = (pick: (found: PostgresProcesses, dice: Dice) => number | undefined): Blow => {
    return async (dice) => {
      const found = postgres();
      if (!found || !killProcess(pick(found, dice))) return false;
      // Whatever was killed, no part survives it; until it ends, all may seem to be well.
      await awaitEndOf(found.parts, RECOVERY_MS);
      return true;
    };
  };
  /** What would end PostgreSQL with its server goes first, so that it is left behind. */
  const watcherFirst: Blow = async (dice) => {
    if (!killProcess(postgres()?.watcher)) return false;
    await killServer(dice.pick(servers));
    return true;
  };
  const everything: Blow = async () => {
    if (!killProcess(postgres()?.postmaster)) return false;
    await Promise.all(servers.map(async (it) => await killServer(it)));
    return true;
  };
  return [
    [6, ["server", server]],
    [3, ["postmaster", one((found) => found.postmaster)]],
    [4, ["part of PostgreSQL", one(({ parts }, dice) => parts[dice.below(parts.length)])]],
    [2, ["keeper", one((found) => found.keeper)]],
    [2, ["watcher, then server", watcherFirst]],
    [1, ["everything", everything]],
  ];
}

/** Ends a connection of some server at the database's side. */
async function cutConnection(url: string): Promise<boolean> {
  const sql = connect(url, 1);
  try {
    const cut = await sql`
      select pg_terminate_backend(pid) from pg_stat_activity
      where datname = current_database() and application_name like 'archipel %' and pid <> pg_backend_pid()
      order by random() limit 1`;
    return cut.length > 0;
  } finally {
    await sql.end({ timeout: 1 });
  }
}
