import { readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { DatabaseSync } from "node:sqlite";

/** A data directory that is ours until `release`, or until this process ends, however it ends. */
export type DataDirectoryLock = { release(): void };

/**
 * Takes a data directory for this process.
 *
 * Node has no call for the kernel's file locks; the SQLite that comes with it takes one. Such a lock goes
 * with its process, also after kill -9, and a process ID that was given out again cannot fake it.
 *
 * @throws Error that names the process that has it.
 */
export function lockDataDirectory(dataDir: string): DataDirectoryLock {
  const pidFile = join(dataDir, "archipel.pid");
  const lock = new DatabaseSync(join(dataDir, "archipel.lock"), { timeout: 0 });
  try {
    lock.exec("pragma locking_mode = exclusive; begin exclusive");
  } catch {
    lock.close();
    throw new Error(`${dataDir} is in use by ${holder(pidFile)}: stop that one first.`);
  }
  writeFileSync(pidFile, `${process.pid}\n`);
  return {
    release() {
      rmSync(pidFile, { force: true });
      lock.close();
    },
  };
}

function holder(pidFile: string): string {
  try {
    return `process ${readFileSync(pidFile, "utf8").trim()}`;
  } catch {
    return "another process, which has only just started";
  }
}
