import { readdirSync, readFileSync } from "node:fs";
import { setTimeout as sleep } from "node:timers/promises";

type Process = { readonly pid: number; readonly parent: number; readonly command: string };

/** The processes of a built-in PostgreSQL, from the one that started it down. */
export type PostgresProcesses = {
  /** The shell between us and the server. */
  readonly keeper: number;
  /** The keeper's other child, which ends the server when we end. */
  readonly watcher: number | undefined;
  readonly postmaster: number;
  /** The postmaster's children: one for each connection, the checkpointer, the writers. */
  readonly parts: readonly number[];
};

/** Whose PostgreSQL it is. */
export type PostgresOwner = {
  /** The process that has started it. */
  readonly pid: number;
  /** Where its cluster is; without it, any will do. */
  readonly cluster?: string;
};

/**
 * Finds the PostgreSQL that a process has started. Linux only.
 *
 * @returns undefined while none runs.
 */
export function postgresOf({ pid: root, cluster }: PostgresOwner): PostgresProcesses | undefined {
  const all = runningProcesses();
  const children = (pid: number) => all.filter((it) => it.parent === pid);
  const below = (pid: number): Process[] => children(pid).flatMap((it) => [it, ...below(it.pid)]);
  const postmaster = below(root).find(({ command }) => {
    const [program = "", , directory] = command.split("\0");
    return program.endsWith("/bin/postgres") && (cluster === undefined || directory === cluster);
  });
  if (!postmaster) return undefined;
  const beside = children(postmaster.parent).find((it) => it.pid !== postmaster.pid);
  return {
    keeper: postmaster.parent,
    watcher: beside?.pid,
    postmaster: postmaster.pid,
    parts: children(postmaster.pid).map((it) => it.pid),
  };
}

/** Waits until processes have ended, for so long at the most. One that has ended and is not yet reaped has no command. */
export async function awaitEndOf(pids: readonly number[], patienceMs: number): Promise<void> {
  const deadline = performance.now() + patienceMs;
  const runs = ({ pid, command }: Process) => pids.includes(pid) && command !== "";
  while (runningProcesses().some(runs) && performance.now() < deadline) await sleep(20);
}

function runningProcesses(): Process[] {
  return readdirSync("/proc")
    .filter((entry) => /^\d+$/.test(entry))
    .flatMap((entry) => {
      try {
        const stat = readFileSync(`/proc/${entry}/stat`, "utf8");
        const command = readFileSync(`/proc/${entry}/cmdline`, "utf8");
        // The name, in parentheses, may hold anything.
        const parent = Number(stat.replace(/^.*\) . /s, "").split(" ")[0]);
        return [{ pid: Number(entry), parent, command }];
      } catch {
        // It has ended meanwhile.
        return [];
      }
    });
}

/** Kills a process. @returns whether it was there */
export function killProcess(pid: number | undefined): boolean {
  if (pid === undefined) return false;
  try {
    process.kill(pid, "SIGKILL");
    return true;
  } catch {
    return false;
  }
}
