import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { existsSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";
import { afterAll, afterEach, describe, expect, test } from "vitest";

const ROOT = fileURLToPath(new URL("../..", import.meta.url));
const START = join(ROOT, "deploy/conformance/start");

const home = mkdtempSync(join(tmpdir(), "archipel-start-"));
const running: ChildProcess[] = [];
afterEach(async () => {
  for (const child of running.splice(0)) await end(child, "SIGTERM");
});
afterAll(() => rmSync(home, { recursive: true, force: true }));

type Started = { readonly child: ChildProcess; readonly url: string; readonly said: string };

/** Starts a server, and waits until it says that it is ready or ends. */
async function start(dataDir: string, env: NodeJS.ProcessEnv = {}): Promise<Started> {
  const child = spawn(START, {
    env: {
      PATH: process.env["PATH"],
      SERVER_NAME: "hs1",
      BIND_ADDRESS: "127.0.0.1",
      CLIENT_PORT: "0",
      DATA_DIR: dataDir,
      ...env,
    },
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
      if (line.includes('"msg":"ready"')) settle(JSON.parse(line).url);
    });
  });
  return { child, url, said };
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

describe("a server started from nothing but a directory", () => {
  const dataDir = join(home, "one");

  test("answers, ends cleanly when it is told to, and is quick the second time", async () => {
    const first = await start(dataDir);
    expect(await answers(first.url)).toBe(true);
    expect(await end(first.child, "SIGTERM")).toBe(0);
    expect(existsSync(join(dataDir, "postgres/postmaster.pid"))).toBe(false);

    const begun = performance.now();
    const second = await start(dataDir);
    expect(await answers(second.url)).toBe(true);
    expect(performance.now() - begun).toBeLessThan(process.env["CI"] ? 2_000 : 8_000);
    expect(await end(second.child, "SIGINT")).toBe(0);
  });

  test("starts again at once after it was killed", async () => {
    for (let trial = 0; trial < 3; trial++) {
      const { child, url } = await start(dataDir);
      expect(await answers(url)).toBe(true);
      await end(child, "SIGKILL");
    }
  });

  test("says who has the directory when another server does", async () => {
    const first = await start(dataDir);
    const second = await start(dataDir);
    expect(second.url).toBe("");
    expect(second.said).toMatch(/one is in use by process \d+: stop that one first/);
    expect(await answers(first.url)).toBe(true);
  });

  test("runs beside others, each for itself", async () => {
    const servers = await Promise.all(["a", "b"].map((name) => start(join(home, name))));
    expect(new Set(servers.map(({ url }) => url)).size).toBe(2);
    for (const { url } of servers) {
      expect(await answers(url)).toBe(true);
    }
  }, 60_000);
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
