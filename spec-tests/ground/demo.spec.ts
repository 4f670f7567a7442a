import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { existsSync } from "node:fs";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";
import { afterEach, expect, test } from "vitest";
import type { Body } from "../answers.ts";

const RUN = join(fileURLToPath(new URL("../..", import.meta.url)), "deploy/run.mjs");
const TIMEOUT_MS = 120_000;

const running: ChildProcess[] = [];
afterEach(async () => {
  for (const child of running.splice(0)) await end(child);
});

type Demo = { readonly child: ChildProcess; readonly said: string };

/** Starts the demonstration, and waits until it says something, or ends. */
async function demo(words: string, ...args: readonly string[]): Promise<Demo> {
  const child = spawn(process.execPath, [RUN, "demo", ...args], {
    stdio: ["ignore", "pipe", "pipe"],
    detached: true,
  });
  running.push(child);
  let said = "";
  child.stderr.on("data", (chunk: Buffer) => (said += chunk.toString()));
  await new Promise<void>((settle) => {
    child.once("close", () => settle());
    createInterface({ input: child.stdout }).on("line", (line) => {
      said += `${line}\n`;
      if (line.includes(words)) settle();
    });
  });
  return { child, said };
}

/** To the whole group, as Ctrl-C in a terminal does it. */
async function end(child: ChildProcess): Promise<number | null> {
  if (child.exitCode !== null || child.signalCode !== null) return child.exitCode;
  const exited = once(child, "exit");
  process.kill(-(child.pid ?? 0), "SIGINT");
  await exited;
  return child.exitCode;
}

/** Expects that neither its processes nor its files are there any more. */
function expectNothingLeft(said: string): void {
  const directory = /^(\/.*archipel-demo-\S+),/m.exec(said)?.[1] ?? "";
  expect(directory).not.toBe("");
  expect(existsSync(directory)).toBe(false);
  for (const [, pid] of said.matchAll(/ {2}process (\d+)/g)) {
    expect(() => process.kill(Number(pid), 0)).toThrow("ESRCH");
  }
}

async function ask(url: string, options: RequestInit = {}): Promise<Body> {
  const response = await fetch(url, options);
  expect(response.status).toBe(200);
  return (await response.json()) as Body;
}

test(
  "the demonstration shows what crosses, what does not, and a server that catches up",
  async () => {
    const { child, said } = await demo("removes everything");
    expect(said).toContain("has all");
    expect(said).toMatch(/^ {2}Berlin and Lyon +\d+ +\d+ +none$/m);
    expect(said).toMatch(/^ {2}Lyon alone +none +\d+ +none$/m);
    expect(said).toMatch(/^ {2}The group +(\d+) +\1 +\1$/m);

    // Whoever reads what it says can do as it says.
    const url = /^ {2}Warsaw .*clients: (\S+)/m.exec(said)?.[1] ?? "";
    const password = /^password "([^"]+)"/m.exec(said)?.[1] ?? "";
    const { access_token: token } = await ask(`${url}/_matrix/client/v3/login`, {
      method: "POST",
      body: JSON.stringify({
        type: "m.login.password",
        identifier: { type: "m.id.user", user: "dawid" },
        password,
      }),
    });
    const { rooms } = await ask(`${url}/_matrix/client/v3/sync`, {
      headers: { authorization: `Bearer ${token}` },
    });
    expect(Object.keys(rooms?.join ?? {})).toHaveLength(1);
    const page = await fetch(/at every moment: (\S+)/.exec(said)?.[1] ?? "");
    expect(await page.text()).toContain("<h2>Lyon alone");

    expect(await end(child)).toBe(0);
    expectNothingLeft(said);
  },
  TIMEOUT_MS,
);

test(
  "a Ctrl-C in the middle of the demonstration leaves nothing behind",
  async () => {
    const { child, said } = await demo("joins it by that alias");
    expect(await end(child)).toBe(0);
    expectNothingLeft(said);
  },
  TIMEOUT_MS,
);

test(
  "a Ctrl-C while the servers start leaves nothing behind",
  async () => {
    const { child, said } = await demo("which goes when this ends");
    expect(await end(child)).toBe(0);
    expectNothingLeft(said);
  },
  TIMEOUT_MS,
);
