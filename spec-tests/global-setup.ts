import { mkdirSync, mkdtempSync, readdirSync, rmSync, statfsSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import pino from "pino";
import { connect } from "#src/homeserver/database.ts";
import { startEmbeddedPostgres } from "#src/homeserver/embedded-postgres.ts";
import { migrateDatabase } from "#src/homeserver/migrate-database.ts";
import { onDatabase } from "#src/testing-database.ts";
import { SHARED_PAIR } from "./peers/pair.ts";
import { sharePair } from "./peers/share-pair.ts";
import { foundRunAuthority } from "./run-authority.ts";
import { SHARED_HOMESERVERS, shareHomeservers } from "./shared-homeservers.ts";

const PREFIX = "archipel-tests-";

/** Where Linux has files in memory, and how much of it must be free before the tests' database is one of them. */
const IN_MEMORY = "/dev/shm";
const FREE_BYTES = 4 * 1024 ** 3;

/**
 * Before all tests of a run: one PostgreSQL server for them, and in it the database that `testDatabase` copies. It is
 * ours, in a directory of this run, or the one that `TEST_DATABASE_URL` names. And what starts
 * homeservers for them, the pair of ours and a Synapse, and whom all of these trust.
 */
export async function setup(): Promise<() => Promise<void>> {
  const given = process.env["TEST_DATABASE_URL"];
  const own = given === undefined ? await ownServer() : undefined;
  const server = given ?? own?.url ?? "";
  const template = `archipel_template_${process.pid}`;
  const admin = connect(server, 1);
  const copies: string[] = [];
  const copyTemplate = async () => {
    const name = `${template}_${copies.length}`;
    copies.push(name);
    await admin`create database ${admin(name)} template ${admin(template)} strategy file_copy`;
    return onDatabase(server, name);
  };
  const files = runDirectory();
  const homeservers = await shareHomeservers(runDirectory(), copyTemplate);
  const pair = await sharePair();
  const tearDown = async () => {
    await Promise.all([homeservers.stop(), pair.stop()]);
    rmSync(files, { recursive: true, force: true });
    for (const name of own === undefined ? copies : []) {
      await admin`drop database if exists ${admin(name)} with (force)`;
    }
    if (own === undefined) await admin`drop database if exists ${admin(template)} with (force)`;
    await admin.end({ timeout: 1 });
    await own?.stop();
  };
  try {
    await admin`drop database if exists ${admin(template)}`;
    await admin`create database ${admin(template)}`;
    const log = pino({ level: "silent" });
    const { signal } = new AbortController();
    await migrateDatabase(onDatabase(server, template), { isShared: false, log, signal });
  } catch (error) {
    await tearDown();
    throw error;
  }
  process.env["ARCHIPEL_TEST_DIRECTORY"] = files;
  process.env["ARCHIPEL_TEST_SERVER"] = server;
  process.env["ARCHIPEL_TEST_TEMPLATE"] = template;
  process.env[SHARED_HOMESERVERS] = homeservers.url;
  process.env[SHARED_PAIR] = pair.url;
  foundRunAuthority();
  return tearDown;
}

async function ownServer() {
  const dataDir = runDirectory(hasRoom(IN_MEMORY) ? IN_MEMORY : tmpdir());
  const log = pino({ level: "warn" }, pino.destination(2));
  const server = await startEmbeddedPostgres({ dataDir, log, durable: false });
  return {
    url: server.url,
    async stop() {
      await server.stop();
      rmSync(dataDir, { recursive: true, force: true });
    },
  };
}

/** A new directory of this run, which later ones remove if it is left behind. */
function runDirectory(parent = tmpdir()): string {
  const home = join(parent, `${PREFIX}${process.getuid?.() ?? 0}`);
  mkdirSync(home, { recursive: true, mode: 0o700 });
  removeAbandoned(home);
  return mkdtempSync(join(home, `${process.pid}-`));
}

/**
 * Whether much can be written there. That databases come and go by the hundred, of a thousand files each, takes file systems
 * on disks as long as the tests themselves.
 */
function hasRoom(directory: string): boolean {
  try {
    const { bavail, bsize } = statfsSync(directory);
    return bavail * bsize >= FREE_BYTES;
  } catch {
    return false;
  }
}

/** What runs that were killed have left: each directory begins with the number of its process. */
function removeAbandoned(home: string): void {
  for (const entry of readdirSync(home)) {
    try {
      process.kill(Number.parseInt(entry, 10), 0);
    } catch {
      rmSync(join(home, entry), { recursive: true, force: true });
    }
  }
}
