import type { ChildProcess } from "node:child_process";
import { once } from "node:events";
import {
  chmodSync,
  chownSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  readdirSync,
  rmSync,
  statSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { createInterface } from "node:readline";
import { setTimeout as sleep } from "node:timers/promises";
import { fileURLToPath } from "node:url";
import pino from "pino";
import { afterAll, afterEach, describe, expect, test, vi } from "vitest";
import { connect } from "#src/homeserver/database.ts";
import { namedUser, spawnAs } from "#src/homeserver/embedded-postgres-user.ts";
import { startEmbeddedPostgres } from "#src/homeserver/embedded-postgres.ts";

const ROOT = fileURLToPath(new URL("../..", import.meta.url));
const HOLDER = join(ROOT, "spec-tests/ground/hold-postgres.ts");
const isRoot = process.getuid?.() === 0;

const home = mkdtempSync(join(tmpdir(), "archipel-ground-"));
const shared = join(home, "the data");
const silent = pino({ level: "silent" });
const holders: ChildProcess[] = [];

afterEach(async () => {
  for (const holder of holders.splice(0)) await end(holder, "SIGTERM");
});
afterAll(() => rmSync(home, { recursive: true, force: true }));

type Held = { readonly process: ChildProcess; readonly url: string; readonly error?: string };

/** Starts the server in a process of its own that can be killed. */
async function hold(dataDir: string, user?: { uid: number; gid: number }): Promise<Held> {
  const child = spawnAs(
    user,
    [process.execPath, "--disable-warning=ExperimentalWarning", HOLDER, dataDir],
    {
      reach: [dirname(process.execPath), dirname(HOLDER)],
      cwd: ROOT,
      stdio: ["ignore", "pipe", "ignore"],
    },
  );
  holders.push(child);
  if (child.stdout === null) throw new Error("no pipe");
  const [line] = await once(createInterface({ input: child.stdout }), "line");
  return { process: child, ...JSON.parse(String(line)) };
}

async function end(child: ChildProcess, signal: NodeJS.Signals): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return;
  const exited = once(child, "exit");
  child.kill(signal);
  await exited;
}

async function ask(url: string, query: string): Promise<unknown> {
  const sql = connect(url, 1);
  try {
    const [row] = await sql.unsafe(query);
    return row?.["answer"];
  } finally {
    await sql.end();
  }
}

const postmasterOf = (dataDir: string) =>
  Number(readFileSync(join(dataDir, "postgres/postmaster.pid"), "utf8").split("\n")[0]);

const parentOf = (pid: number) =>
  Number(
    readFileSync(`/proc/${pid}/stat`, "utf8")
      .replace(/^.*\) . /, "")
      .split(" ")[0],
  );

const childrenOf = (pid: number) =>
  readdirSync("/proc")
    .filter((entry) => /^\d+$/.test(entry))
    .map(Number)
    .filter((other) => {
      try {
        return parentOf(other) === pid;
      } catch {
        return false;
      }
    });

async function gone(pid: number, withinMs: number): Promise<boolean> {
  for (let waitedMs = 0; waitedMs < withinMs; waitedMs += 20) {
    if (!existsSync(`/proc/${pid}`) || /\) Z /.test(readFileSync(`/proc/${pid}/stat`, "utf8"))) {
      return true;
    }
    await sleep(20);
  }
  return false;
}

describe.skipIf(process.platform !== "linux")("the built-in PostgreSQL", () => {
  test("keeps what was written, and is closed to everyone else", async () => {
    const first = await startEmbeddedPostgres({ dataDir: shared, log: silent });
    await ask(first.url, "create table kept as select 7 as answer");
    expect(await ask(first.url, "select current_setting('fsync') as answer")).toBe("on");
    expect(await ask(first.url, "select current_setting('listen_addresses') as answer")).toBe("");
    expect(await ask(first.url, "select lower('Ж') as answer")).toBe("ж");
    expect(statSync(join(shared, "run")).mode & 0o777).toBe(0o700);
    expect(statSync(join(shared, "postgres")).mode & 0o777).toBe(0o700);
    await first.stop();
    expect(existsSync(join(shared, "postgres/postmaster.pid"))).toBe(false);

    const begun = performance.now();
    const second = await startEmbeddedPostgres({ dataDir: shared, log: silent });
    expect(performance.now() - begun).toBeLessThan(8_000);
    expect(await ask(second.url, "select answer from kept")).toBe(7);
    await second.stop();
  });

  test("ends when we are killed, and the next start waits for nothing", async () => {
    const first = await hold(shared);
    const postmaster = postmasterOf(shared);
    await end(first.process, "SIGKILL");
    const second = await hold(shared);
    expect(await ask(second.url, "select answer from kept")).toBe(7);
    expect(await gone(postmaster, 5_000)).toBe(true);

    const last = postmasterOf(shared);
    await end(second.process, "SIGKILL");
    expect(await gone(last, 10_000)).toBe(true);
  });

  test("left without its keeper, and then without us, is ended by the next start", async () => {
    const first = await hold(shared);
    const postmaster = postmasterOf(shared);
    const keeper = parentOf(postmaster);
    for (const pid of childrenOf(keeper)) if (pid !== postmaster) process.kill(pid, "SIGKILL");
    // Stopped first, so that it cannot start another server when it notices.
    first.process.kill("SIGSTOP");
    process.kill(keeper, "SIGKILL");
    await end(first.process, "SIGKILL");
    await sleep(300);
    expect(await gone(postmaster, 100)).toBe(false);

    const second = await hold(shared);
    expect(await gone(postmaster, 100)).toBe(true);
    expect(await ask(second.url, "select answer from kept")).toBe(7);
  });

  test("is started again when it is killed, or any part of it", async () => {
    const { url } = await hold(shared);
    for (const victim of ["postmaster", "keeper", "writer"]) {
      const postmaster = postmasterOf(shared);
      const writer = await ask(
        url,
        "select pid as answer from pg_stat_activity where backend_type = 'walwriter'",
      );
      const pids = { postmaster, keeper: parentOf(postmaster), writer: Number(writer) };
      process.kill(pids[victim as keyof typeof pids], "SIGKILL");
      await sleep(50);
      await expect
        .poll(async () => await ask(url, "select answer from kept").catch(() => "not yet"), {
          timeout: 15_000,
        })
        .toBe(7);
    }
  });

  test("ends processes of a killed server that are too busy to notice", async () => {
    const first = await hold(shared);
    const sql = connect(first.url, 1);
    // Counts in one go, without ever waiting for anything.
    const counting = sql`select sum(a * b) from generate_series(1, 100000) a, generate_series(1, 1000000) b`;
    const failed = counting.then(
      () => undefined,
      (error: unknown) => error,
    );
    let busy: number | undefined;
    const counter = () => {
      [busy] = childrenOf(postmasterOf(shared)).filter((pid) =>
        readFileSync(`/proc/${pid}/cmdline`, "utf8").includes(" SELECT"),
      );
      return busy;
    };
    await expect.poll(counter).toBeDefined();
    first.process.kill("SIGSTOP");
    process.kill(postmasterOf(shared), "SIGKILL");
    await end(first.process, "SIGKILL");
    const second = await hold(shared);
    expect(await ask(second.url, "select answer from kept")).toBe(7);
    expect(await gone(busy ?? 0, 100)).toBe(true);
    expect(await failed).toBeInstanceOf(Error);
    await sql.end({ timeout: 1 });
  });

  test("is not shared: a second process is told which one has it", async () => {
    const first = await hold(shared);
    const second = await hold(shared);
    expect(second.error).toContain(`in use by process ${first.process.pid}`);
    expect(await ask(first.url, "select answer from kept")).toBe(7);
  });

  test("is not fooled by a file that names a process which is something else by now", async () => {
    writeFileSync(join(shared, "postgres/postmaster.pid"), `${process.pid}\n\n\n\n\n\n\nready\n`);
    const { url } = await hold(shared);
    expect(await ask(url, "select answer from kept")).toBe(7);
  });

  test("is complete or not there: killed in the middle of its making, it is made anew", async () => {
    const dataDir = join(home, "young");
    for (const afterMs of [250, 500, 900]) {
      const young = hold(dataDir);
      await sleep(afterMs);
      const [child] = holders.splice(0);
      if (child !== undefined) await end(child, "SIGKILL");
      void young.catch(() => undefined);
    }
    const { url } = await hold(dataDir);
    expect(await ask(url, "select 1 as answer")).toBe(1);
  });

  test("finds a shorter place for its socket when the path is too long for one", async () => {
    const dataDir = join(home, "long".repeat(30));
    for (const temporary of [tmpdir(), dataDir]) {
      vi.stubEnv("TMPDIR", temporary);
      const { url, process: holder } = await hold(dataDir);
      vi.unstubAllEnvs();
      const socketDir = new URL(url).searchParams.get("host") ?? "";
      expect(socketDir.length).toBeLessThan(90);
      expect(statSync(socketDir).mode & 0o777).toBe(0o700);
      expect(await ask(url, "select 1 as answer")).toBe(1);
      await end(holder, "SIGTERM");
      expect(existsSync(socketDir)).toBe(false);
    }
  });

  describe.skipIf(!isRoot)("for root", () => {
    test("runs as a user of its own, whether others may pass to the directory or not", async () => {
      for (const mode of [0o755, 0o700]) {
        const parent = join(home, `mode-${mode.toString(8)}`);
        mkdirSync(parent);
        chmodSync(home, mode);
        chmodSync(parent, mode);
        const { url, process: holder } = await hold(join(parent, "data"));
        const { uid } = statSync(`/proc/${postmasterOf(join(parent, "data"))}`);
        expect(uid).not.toBe(0);
        expect(statSync(join(parent, "data/postgres")).uid).toBe(uid);
        expect(await ask(url, "select 1 as answer")).toBe(1);
        await end(holder, "SIGTERM");
      }
    });

    test("tells an ordinary user whose the data is", async () => {
      chmodSync(home, 0o755);
      const dataDir = join(home, "of-root");
      mkdirSync(dataDir);
      const { error } = await hold(dataDir, namedUser());
      expect(error).toContain(`${dataDir} cannot be written to by user ${namedUser().uid}`);
    });

    test("takes over from an ordinary user and gives back, and an ordinary user needs no root", async () => {
      chmodSync(home, 0o755);
      const dataDir = join(home, "ordinary");
      const user = namedUser();
      mkdirSync(dataDir);
      chownSync(dataDir, user.uid, user.gid);
      for (const who of [user, undefined, user]) {
        const { process: holder, error } = await hold(dataDir, who);
        expect(error).toBeUndefined();
        expect(statSync(`/proc/${postmasterOf(dataDir)}`).uid).toBe(user.uid);
        await end(holder, "SIGTERM");
      }
    });
  });
});
