import { execFileSync } from "node:child_process";
import { readFileSync, readdirSync, rmSync } from "node:fs";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";

/** The first lines of `postmaster.pid`, where PostgreSQL says who it is and how far it has come. */
export type PostmasterFile = {
  readonly pid: number;
  readonly socketDir: string;
  /** `starting`, `ready`, `stopping` and so on. */
  readonly status: string;
};

/** What the server of a cluster says of itself, or `undefined` if none has said anything. */
export function readPostmasterFile(clusterDir: string): PostmasterFile | undefined {
  let lines: string[];
  try {
    lines = readFileSync(join(clusterDir, "postmaster.pid"), "utf8").split("\n");
  } catch {
    return undefined;
  }
  const pid = Number(lines[0]);
  if (!Number.isSafeInteger(pid) || pid <= 1) return undefined;
  return { pid, socketDir: lines[4]?.trim() ?? "", status: lines[7]?.trim() ?? "" };
}

/**
 * Ends what an earlier process of ours left behind on a cluster, if it was killed at a bad moment: a
 * server that still runs, server processes without a server, or only the file that says so. Call
 * it with the data directory locked: then whatever is found has no master any more.
 *
 * @param clusterName the `cluster_name` the server was started with, which its processes carry
 */
export async function endLeftovers(clusterDir: string, clusterName: string): Promise<boolean> {
  const file = readPostmasterFile(clusterDir);
  const runs = file !== undefined && commandLine(file.pid).includes(` -D ${clusterDir} -c `);
  if (file !== undefined && runs) await endServer(file.pid);
  const orphans = processesOf(clusterName);
  for (const pid of orphans) signal(pid, "SIGQUIT");
  for (let tries = 0; orphans.some(isAlive) && tries < 200; tries++) await sleep(10);
  for (const pid of orphans) signal(pid, "SIGKILL");
  // PostgreSQL would ask whether the process with this number is alive, and after a restart of the
  // machine or the container it is: as something else.
  if (file !== undefined) rmSync(join(clusterDir, "postmaster.pid"), { force: true });
  return runs || orphans.length > 0;
}

/** Ends a PostgreSQL server, the more firmly the longer it takes. */
export async function endServer(pid: number): Promise<void> {
  const steps = [
    ["SIGINT", 10_000], // Fast: disconnects everyone, writes a checkpoint.
    ["SIGQUIT", 5_000], // Immediate: its log is replayed at the next start.
    ["SIGKILL", 5_000],
  ] as const;
  for (const [name, patienceMs] of steps) {
    signal(pid, name);
    for (let waitedMs = 0; waitedMs < patienceMs; waitedMs += 10) {
      if (!isAlive(pid)) return;
      await sleep(10);
    }
  }
}

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
  } catch (error) {
    return error instanceof Error && "code" in error && error.code === "EPERM";
  }
  // One that has ended and that nobody has asked after is not alive, but has its number still.
  if (process.platform !== "linux") return true;
  try {
    return !/\) Z /.test(readFileSync(`/proc/${pid}/stat`, "latin1"));
  } catch {
    return false;
  }
}

function signal(pid: number, name: NodeJS.Signals): void {
  try {
    process.kill(pid, name);
  } catch {
    // It has ended: what was wanted.
  }
}

/** The arguments with a space between them: a path may have some in it. */
function commandLine(pid: number): string {
  try {
    if (process.platform === "linux") {
      return readFileSync(`/proc/${pid}/cmdline`, "utf8").replaceAll("\0", " ");
    }
    return execFileSync("ps", ["-o", "args=", "-p", String(pid)], { encoding: "utf8" });
  } catch {
    return "";
  }
}

/** Processes of a server that ended without them. Elsewhere than on Linux PostgreSQL's own wait has to do. */
function processesOf(clusterName: string): number[] {
  if (process.platform !== "linux") return [];
  return readdirSync("/proc")
    .filter((entry) => /^\d+$/.test(entry))
    .map(Number)
    .filter((pid) => commandLine(pid).startsWith(`postgres: ${clusterName}: `));
}
