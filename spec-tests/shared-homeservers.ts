import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { rmSync } from "node:fs";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";
import { z } from "zod";
// @ts-expect-error It is plain JavaScript, since it runs before there is anything else.
import { bundleOf } from "../deploy/bundle.mjs";
import { startBalancer } from "./balancer.ts";
import { startOnDemand } from "./start-on-demand.ts";

/** Where tests ask for a homeserver: an environment variable that `global-setup.ts` sets for every test. */
export const SHARED_HOMESERVERS = "ARCHIPEL_TEST_HOMESERVERS";

const ROOT = fileURLToPath(new URL("..", import.meta.url));

/** Of how many processes each homeserver is: of more than one, requests go to them in turns. */
export const PROCESSES = Number(process.env["ARCHIPEL_TEST_PROCESSES"] ?? 1);

/** The configuration that a test asks for, as in the environment. */
const Wanted = z.record(z.string(), z.string());

/** A homeserver that answers, and the link that makes its first administrator. */
type Started = { readonly url: string; readonly link: string };

/** How long one may take to start, and to end when it is asked to. */
const START_TIMEOUT_MS = 60_000;
const STOP_TIMEOUT_MS = 10_000;

/**
 * Starts homeservers for the tests of a run, each a process of its own, when the first test asks for it. Those that
 * ask for the same configuration share one.
 *
 * @param home a directory for their files, which is removed when they end.
 * @param newDatabase makes a database that has all tables, and says where it is.
 * @returns the address to ask at, and what ends all of them.
 */
export async function shareHomeservers(
  home: string,
  newDatabase: () => Promise<string>,
): Promise<{ readonly url: string; stop(): Promise<void> }> {
  const children: ChildProcess[] = [];
  const balancers: { close(): void }[] = [];
  let bundle: string | undefined;
  const program = (): string => (bundle ??= bundleOf(ROOT));
  const demand = await startOnDemand(async (wanted, index) => {
    const variables = {
      ARCHIPEL_MEDIA_DIRECTORY: join(home, String(index), "media"),
      ...Wanted.parse(JSON.parse(wanted)),
      ARCHIPEL_DATABASE_URL: await newDatabase(),
    };
    const started: Started[] = [];
    for (let nth = 0; nth < PROCESSES; nth++) {
      const dataDir = join(home, String(index), String(nth));
      const child = launch(program(), { ...variables, ARCHIPEL_DATA_DIR: dataDir });
      children.push(child);
      started.push(await readiness(child));
    }
    // Its link is the one that counts: each that starts makes a new one.
    const last = started.at(-1);
    if (!last) throw new RangeError("a homeserver is of at least one process");
    if (started.length === 1) return last;
    const balancer = await startBalancer(started.map(({ url }) => url));
    balancers.push(balancer);
    return { url: balancer.url, link: last.link };
  });
  return {
    url: demand.url,
    async stop() {
      demand.close();
      for (const balancer of balancers) balancer.close();
      await Promise.all(children.map(end));
      rmSync(home, { recursive: true, force: true });
    },
  };
}

/** Starts the program that `npm start` does. */
function launch(program: string, variables: Readonly<Record<string, string>>): ChildProcess {
  const compiled = process.env["NODE_COMPILE_CACHE"];
  return spawn(process.execPath, ["--import", join(ROOT, "deploy/end-with-parent.mjs"), program], {
    env: {
      PATH: process.env["PATH"],
      ...(compiled !== undefined && { NODE_COMPILE_CACHE: compiled }),
      ARCHIPEL_LISTENER_PORT: "0",
      ARCHIPEL_METRICS_ENABLED: "false",
      ARCHIPEL_LOG_FORMAT: "json",
      ...variables,
    },
    stdio: ["ignore", "pipe", "inherit"],
  });
}

/** Waits until a server says that it is ready, and how it gets its first administrator. */
async function readiness(child: ChildProcess): Promise<Started> {
  const { promise, resolve, reject } = Promise.withResolvers<Started>();
  const timer = setTimeout(
    () => reject(new Error("the homeserver is not ready in time")),
    START_TIMEOUT_MS,
  );
  child.once("error", reject);
  child.once("exit", (status) => reject(new Error(`the homeserver ended with ${status}`)));
  let url = "";
  createInterface({ input: child.stdout ?? process.stdin }).on("line", (line) => {
    const said = Line.safeParse(parsed(line)).data;
    // Whatever it calls an error is one of ours, and belongs beside the test that brought it about.
    if (said === undefined || ERRORS.has(said.level)) process.stderr.write(`${line}\n`);
    url = said?.url ?? url;
    if (said?.link !== undefined) resolve({ url, link: said.link });
  });
  return await promise.finally(() => clearTimeout(timer));
}

const ERRORS: ReadonlySet<string> = new Set(["error", "fatal"]);

const Line = z.object({
  level: z.string(),
  url: z.string().optional(),
  link: z.string().optional(),
});

function parsed(line: string): unknown {
  try {
    return JSON.parse(line);
  } catch {
    return undefined;
  }
}

async function end(child: ChildProcess): Promise<void> {
  if (child.pid === undefined || child.exitCode !== null || child.signalCode !== null) return;
  const exited = once(child, "exit");
  child.kill("SIGTERM");
  const impatience = setTimeout(() => child.kill("SIGKILL"), STOP_TIMEOUT_MS);
  await exited;
  clearTimeout(impatience);
}
