import { chownSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { DatabaseSync } from "node:sqlite";
import { setTimeout as sleep } from "node:timers/promises";

/** A data directory that is ours until `release`, or until this process ends, however it ends. */
export type DataDirectoryLock = { release(): void };

/**
 * Takes a data directory for this process.
 *
 * Waits a little for one that is just ending.
 *
 * Node has no call for the kernel's file locks; the SQLite that comes with it takes one. Such a lock goes
 * with its process, also after kill -9, and a process ID that was given out again cannot fake it.
 *
 * @throws Error that names the process that has it.
 */
export async function lockDataDirectory(
  dataDir: string,
  patienceMs = 3_000,
): Promise<DataDirectoryLock> {
  const pidFile = join(dataDir, "archipel.pid");
  const file = join(dataDir, "archipel.lock");
  let lock = tryToLock(file);
  for (let waitedMs = 0; lock === undefined && waitedMs < patienceMs; waitedMs += 50) {
    await sleep(50);
    lock = tryToLock(file);
  }
  if (lock === undefined) {
    throw new Error(`${dataDir} is in use by ${holder(pidFile)}: stop that one first.`);
  }
  // What an earlier process left may be somebody else's.
  rmSync(pidFile, { force: true });
  writeFileSync(pidFile, `${process.pid}\n`);
  if (process.getuid?.() === 0) {
    const { uid, gid } = statSync(dataDir);
    for (const ours of [file, pidFile]) chownSync(ours, uid, gid);
  }
  return {
    release() {
      rmSync(pidFile, { force: true });
      lock.close();
    },
  };
}

function tryToLock(file: string): DatabaseSync | undefined {
  const lock = new DatabaseSync(file, { timeout: 0 });
  try {
    lock.exec("pragma locking_mode = exclusive; pragma journal_mode = off; begin exclusive");
    return lock;
  } catch (error) {
    lock.close();
    if (isBusy(error)) return undefined;
    throw error;
  }
}

function isBusy(error: unknown): boolean {
  const SQLITE_BUSY = 5;
  return error instanceof Error && "errcode" in error && error.errcode === SQLITE_BUSY;
}

function holder(pidFile: string): string {
  try {
    return `process ${readFileSync(pidFile, "utf8").trim()}`;
  } catch {
    return "another process";
  }
}
