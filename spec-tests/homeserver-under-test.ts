import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { pathToFileURL } from "node:url";
import { freePort } from "#src/kit/free-port.ts";
import { registerUser, type TestUser } from "./test-user.ts";

const START = join(import.meta.dirname, "..", "deploy", "conformance", "start");
/** Lets a server end when the process that started it is gone, however that went. */
const ENDS_WITH_US = `--import ${pathToFileURL(join(import.meta.dirname, "..", "deploy", "end-with-parent.mjs")).href}`;
const STOP_TIMEOUT_MS = 20_000;

/** The end of what a server has said is kept for the message of a failure. */
const KEPT_OUTPUT = 4_000;

/**
 * A homeserver to test over HTTP. One that we started can be ended and started again on its data and its address;
 * nothing here knows more of it than the specification says and its start command promises.
 */
export type HomeserverUnderTest = {
  /** Where clients find it, without a slash at the end. */
  readonly url: string;
  /** The process that was started. Undefined while none runs, and for a server that is not ours. */
  readonly pid: number | undefined;
  /** Registers a user whose name begins with `name` and is new; the password is `secret`. */
  registerUser(name: string): Promise<TestUser>;
  /** Asks it to end, and waits until it has. @returns the exit status */
  stop(): Promise<number | null>;
  /** Ends it and whatever it started in its process group without asking. */
  kill(): Promise<void>;
  /** Starts it again on the same data, at the same address. */
  start(): Promise<void>;
  /** Ends it for good and removes its data. */
  dispose(): Promise<void>;
};

export type HomeserverOptions = {
  /** More of its environment: see `deploy/conformance/start`. */
  readonly env?: Readonly<Record<string, string>>;
};

/** Whether tests run against a server that somebody else started, which cannot be ended and started again. */
export const isOutside = process.env["HOMESERVER_URL"] !== undefined;

/**
 * Starts a homeserver on a database of its own, or takes the one that `HOMESERVER_URL` names. Open registration
 * and no rate limits are expected of that one.
 *
 * @throws Error with the last words of a server that does not start
 */
export async function startHomeserver({
  env = {},
}: HomeserverOptions = {}): Promise<HomeserverUnderTest> {
  const outside = process.env["HOMESERVER_URL"];
  if (outside !== undefined) return outsideServer(outside.replace(/\/$/, ""));
  const dataDir = mkdtempSync(join(tmpdir(), "archipel-under-test-"));
  // It has to know where clients find it before it starts, and is to be found there again.
  const settings = { ...env, DATA_DIR: dataDir, CLIENT_PORT: String(await freePort()) };
  let running: Running;
  try {
    running = await launch(settings);
  } catch (error) {
    rmSync(dataDir, { recursive: true, force: true });
    throw error;
  }
  const { url } = running;
  const end = async (signal: NodeJS.Signals) => await endGroup(running.child, signal);
  return {
    url,
    get pid() {
      return runs(running.child) ? running.child.pid : undefined;
    },
    registerUser: async (name) => await registerUser(url, name),
    stop: async () => await end("SIGTERM"),
    async kill() {
      await end("SIGKILL");
    },
    async start() {
      if (runs(running.child)) throw new Error("The server runs already.");
      running = await launch(settings);
    },
    async dispose() {
      await end("SIGTERM");
      rmSync(dataDir, { recursive: true, force: true });
    },
  };
}

function outsideServer(url: string): HomeserverUnderTest {
  const refuse = async () => await Promise.reject(new Error(`${url} is not ours to end or start.`));
  return {
    url,
    pid: undefined,
    registerUser: async (name) => await registerUser(url, name),
    stop: refuse,
    kill: refuse,
    start: refuse,
    dispose: async () => await Promise.resolve(),
  };
}

type Running = { readonly child: ChildProcess; readonly url: string };

async function launch(settings: Readonly<Record<string, string>>): Promise<Running> {
  const child = spawn(START, {
    env: {
      ...process.env,
      NODE_OPTIONS: `${process.env["NODE_OPTIONS"] ?? ""} ${ENDS_WITH_US}`,
      SERVER_NAME: "hs1",
      BIND_ADDRESS: "127.0.0.1",
      ...settings,
    },
    stdio: ["ignore", "pipe", "pipe"],
    detached: true,
  });
  // A run that is interrupted leaves no server behind.
  const endWithUs = () => signalGroup(child, "SIGKILL");
  process.once("exit", endWithUs);
  child.once("exit", () => process.removeListener("exit", endWithUs));
  let said = "";
  const keep = (text: string) => (said = (said + text).slice(-KEPT_OUTPUT));
  child.stderr.on("data", (chunk: Buffer) => keep(chunk.toString()));
  const url = await new Promise<string | undefined>((settle) => {
    child.once("error", (error) => {
      keep(error.message);
      settle(undefined);
    });
    child.once("close", () => settle(undefined));
    createInterface({ input: child.stdout }).on("line", (line) => {
      keep(`${line}\n`);
      if (line.includes('"msg":"ready"')) settle(JSON.parse(line).url);
    });
  });
  if (url === undefined) throw new Error(`The server did not start. It said:\n${said}`);
  return { child, url };
}

function runs({ pid, exitCode, signalCode }: ChildProcess): boolean {
  return pid !== undefined && exitCode === null && signalCode === null;
}

/** To the whole group, as a terminal and a suite do it. */
function signalGroup(child: ChildProcess, signal: NodeJS.Signals): void {
  if (child.pid !== undefined && runs(child)) process.kill(-child.pid, signal);
}

async function endGroup(child: ChildProcess, signal: NodeJS.Signals): Promise<number | null> {
  if (!runs(child)) return child.exitCode;
  const exited = once(child, "exit");
  signalGroup(child, signal);
  const impatience = setTimeout(() => signalGroup(child, "SIGKILL"), STOP_TIMEOUT_MS);
  await exited;
  clearTimeout(impatience);
  return child.exitCode;
}
