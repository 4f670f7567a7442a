import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { existsSync, openSync, readFileSync } from "node:fs";
import { setTimeout as sleep } from "node:timers/promises";
import type { HttpTarget } from "../load/http-connection.ts";
import type { FederationOfRun } from "../load/stage.ts";

/** The servers that a run can measure. `null` answers everything and does nothing: it shows what the load costs. */
export type ServerKind = "archipel" | "synapse" | "null";

/** What it costs to check a password: as little as can be, or what servers have by themselves. */
export type PasswordCost = "cheapest" | "usual";

/** What a server is given to start with. */
export type Place = {
  /** A directory of its own, kept over its restarts. */
  readonly dir: string;
  readonly target: HttpTarget;
  /** Of an empty database, on the PostgreSQL that all use. */
  readonly databaseUrl: string;
  readonly passwordCost: PasswordCost;
  readonly federation: FederationOfRun & {
    /** The authority to believe. */
    readonly caFile: string;
  };
};

/** How to start a server. */
export type Command = {
  readonly program: string;
  readonly args: readonly string[];
  readonly env?: Readonly<Record<string, string>>;
};

/** A server that answers. */
export type RunningServer = {
  readonly pid: number;
  /** The exit status or signal of one that has ended. */
  howEnded(): string | undefined;
  stop(): Promise<void>;
};

const START_TIMEOUT_MS = 120_000;
const STOP_TIMEOUT_MS = 20_000;

/** Lets the kernel end a server when we end, however we end. */
const TIED_TO_US = "/usr/bin/setpriv";

/**
 * Starts a server and waits until it answers. What it says goes to a file.
 *
 * @throws Error with the end of that file, when it ends or has not answered in two minutes
 */
export async function startServer(
  { program, args, env }: Command,
  { target, logFile }: { readonly target: HttpTarget; readonly logFile: string },
): Promise<RunningServer> {
  const log = openSync(logFile, "a");
  const tie = existsSync(TIED_TO_US) ? [TIED_TO_US, "--pdeathsig", "TERM"] : [];
  const [first = program, ...rest] = [...tie, program, ...args];
  const child = spawn(first, rest, {
    stdio: ["ignore", log, log],
    env: { ...process.env, ...env },
    detached: true,
  });
  child.on("error", () => undefined); // Seen as a missing pid.
  const { pid } = child;
  if (pid === undefined) throw new Error(`${program} could not be started.`);
  const stop = async () => await endGroup(child, pid);
  if (await answers(child, target)) {
    return { pid, stop, howEnded: () => howEnded(child) };
  }
  await stop();
  throw new Error(`${program} did not start:\n${readFileSync(logFile, "utf8").slice(-3000)}`);
}

async function answers(child: ChildProcess, { host, port }: HttpTarget): Promise<boolean> {
  const deadline = Date.now() + START_TIMEOUT_MS;
  while (runs(child) && Date.now() < deadline) {
    const answered = await fetch(`http://${host}:${port}/_matrix/client/versions`).then(
      async (response) => (await response.text()) !== "" && response.ok,
      () => false,
    );
    if (answered) return true;
    await sleep(20);
  }
  return false;
}

function runs(child: ChildProcess): boolean {
  return child.exitCode === null && child.signalCode === null;
}

function howEnded({ exitCode, signalCode }: ChildProcess): string | undefined {
  if (exitCode !== null) return `exit status ${exitCode}`;
  return signalCode ?? undefined;
}

async function endGroup(child: ChildProcess, pid: number): Promise<void> {
  if (!runs(child)) return;
  const exited = once(child, "exit");
  process.kill(-pid, "SIGTERM");
  const impatience = setTimeout(() => process.kill(-pid, "SIGKILL"), STOP_TIMEOUT_MS);
  await exited;
  clearTimeout(impatience);
}
