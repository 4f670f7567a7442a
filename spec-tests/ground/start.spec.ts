import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { existsSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";
import { afterAll, afterEach, describe, expect, test } from "vitest";
import { registerUser } from "../test-user.ts";

const ROOT = fileURLToPath(new URL("../..", import.meta.url));
const START = join(ROOT, "deploy/conformance/start");

const home = mkdtempSync(join(tmpdir(), "archipel-start-"));
const running: ChildProcess[] = [];
afterEach(async () => {
  for (const child of running.splice(0)) await end(child, "SIGTERM");
});
afterAll(() => rmSync(home, { recursive: true, force: true }));

type Started = { readonly child: ChildProcess; readonly url: string; readonly said: string };

type StartOptions = {
  readonly cwd?: string;
  /** Told of each line that it writes. */
  readonly onLine?: (line: string, child: ChildProcess) => void;
};

/** Starts a server, and waits until it says that it is ready or ends. */
async function start(
  dataDir: string,
  env: NodeJS.ProcessEnv = {},
  { cwd, onLine }: StartOptions = {},
): Promise<Started> {
  const child = spawn(START, {
    env: {
      PATH: process.env["PATH"],
      SERVER_NAME: "hs1",
      BIND_ADDRESS: "127.0.0.1",
      CLIENT_PORT: "0",
      DATA_DIR: dataDir,
      ...env,
    },
    cwd,
    stdio: ["ignore", "pipe", "pipe"],
    detached: true,
  });
  running.push(child);
  let said = "";
  child.stderr?.on("data", (chunk: Buffer) => (said += chunk.toString()));
  const url = await new Promise<string>((settle) => {
    child.once("close", () => settle(""));
    createInterface({ input: child.stdout ?? process.stdin }).on("line", (line) => {
      said += `${line}\n`;
      onLine?.(line, child);
      if (line.includes('"msg":"ready"')) settle(JSON.parse(line).url);
    });
  });
  return { child, url, said };
}

/**
 * How long it may take to start again while other tests run beside, and how often it is tried. Where nothing else runs,
 * `.ci/check-start.mjs` holds it to two seconds.
 */
const QUICK_MS = process.env["CI"] ? 4_000 : 8_000;
const MOST_STARTS = 4;

/** Has a server end as soon as it says something. */
function stopAt(words: string): NonNullable<StartOptions["onLine"]> {
  return (line, child) => {
    if (line.includes(words)) process.kill(-(child.pid ?? 0), "SIGTERM");
  };
}

/** Whether a server answers as one that web pages may talk to. */
async function answers(url: string): Promise<boolean> {
  const response = await fetch(`${url}/_matrix/client/versions`);
  return response.headers.get("access-control-allow-origin") === "*" && response.status < 500;
}

/** To the whole group, as a terminal and a suite do it. */
async function end(child: ChildProcess, signal: NodeJS.Signals): Promise<unknown> {
  if (child.exitCode !== null || child.signalCode !== null) return child.exitCode;
  const exited = once(child, "exit");
  process.kill(-(child.pid ?? 0), signal);
  const [status] = await exited;
  return status;
}

describe("a server started from nothing but a directory", { timeout: 60_000 }, () => {
  const dataDir = join(home, "one");

  test("answers, ends cleanly when it is told to, and is quick the second time", async () => {
    const first = await start(dataDir);
    expect(await answers(first.url)).toBe(true);
    expect(await end(first.child, "SIGTERM")).toBe(0);
    expect(existsSync(join(dataDir, "postgres/postmaster.pid"))).toBe(false);

    const times: number[] = [];
    while (times.length < MOST_STARTS && !times.some((it) => it < QUICK_MS)) {
      const begun = performance.now();
      const again = await start(dataDir);
      expect(await answers(again.url)).toBe(true);
      times.push(performance.now() - begun);
      expect(await end(again.child, "SIGINT")).toBe(0);
    }
    expect(Math.min(...times)).toBeLessThan(QUICK_MS);
  });

  test("starts again at once after it was killed", async () => {
    for (let trial = 0; trial < 3; trial++) {
      const { child, url } = await start(dataDir);
      expect(await answers(url)).toBe(true);
      await end(child, "SIGKILL");
    }
  });

  test("ends cleanly in the moment in which it is ready", async () => {
    for (let trial = 0; trial < 3; trial++) {
      const { child } = await start(dataDir, {}, { onLine: stopAt('"msg":"ready"') });
      if (child.exitCode === null) await once(child, "exit");
      expect(child.exitCode).toBe(0);
      expect(existsSync(join(dataDir, "postgres/postmaster.pid"))).toBe(false);
    }
  });

  test("ends cleanly while it makes its database, which is made the next time", async () => {
    const young = join(home, "young");
    const onLine = stopAt("making the database");
    const { child, url } = await start(young, {}, { onLine });
    expect(url).toBe("");
    expect(child.exitCode).toBe(0);
    expect(existsSync(join(young, "archipel.pid"))).toBe(false);
    expect(await answers((await start(young)).url)).toBe(true);
  });

  test("says what to do when another program has its port", async () => {
    const first = await start(dataDir);
    const { host, port } = new URL(first.url);
    const second = await start(join(home, "other"), { CLIENT_PORT: port });
    expect(second.child.exitCode).toBe(1);
    expect(second.said).toContain(`${host} is in use by another program`);
    expect(second.said).toContain("set listener.port (ARCHIPEL_LISTENER_PORT)");
    expect(existsSync(join(home, "other/postgres/postmaster.pid"))).toBe(false);
  });

  test("says who has the directory when another server does", async () => {
    const first = await start(dataDir);
    const second = await start(dataDir);
    expect(second.url).toBe("");
    expect(second.said).toMatch(/one is in use by process \d+: stop that one first/);
    expect(await answers(first.url)).toBe(true);
  });

  test("does not serve users of one name under another", async () => {
    const named = join(home, "named");
    const first = await start(named);
    await registerUser(first.url, "alice");
    await end(first.child, "SIGTERM");
    const second = await start(named, { SERVER_NAME: "hs2" });
    expect(second.child.exitCode).toBe(1);
    expect(second.said).toContain("The users in this database are of hs1");
    expect((await start(named)).url).not.toBe("");
  });

  test("runs beside others, each for itself", async () => {
    const servers = await Promise.all(["a", "b"].map((name) => start(join(home, name))));
    expect(new Set(servers.map(({ url }) => url)).size).toBe(2);
    for (const { url } of servers) {
      expect(await answers(url)).toBe(true);
    }
  });
});

test("a server at an address of IPv6 answers, and does not heed a config.yaml of whoever starts it", async () => {
  const elsewhere = mkdtempSync(join(home, "elsewhere-"));
  writeFileSync(join(elsewhere, "config.yaml"), "not: ours\n");
  const { url } = await start(join(elsewhere, "data"), { BIND_ADDRESS: "::1" }, { cwd: elsewhere });
  expect(url).toMatch(/^http:\/\/\[::1\]:\d+$/);
  expect(await answers(url)).toBe(true);
});

test("a configuration that is not valid ends with status 78 and every fault", async () => {
  const { child, said } = await start(join(home, "bad"), {
    ARCHIPEL_LOG_LEVEL: "loud",
    ARCHIPEL_LISTENER_PORT: "-1",
  });
  expect(child.exitCode).toBe(78);
  expect(said).toContain("log.level (ARCHIPEL_LOG_LEVEL): ");
  expect(said).toContain("listener.port (ARCHIPEL_LISTENER_PORT): ");
});
