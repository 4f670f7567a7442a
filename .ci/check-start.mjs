// Checks `npm start` and `npm run demo` as somebody who has just cloned the repository meets them, by real requests: as
// root and as an ordinary user, the first time and again, stopped and killed. Prints a line for each check and their sums.
import { execFileSync, spawn } from "node:child_process";
import { randomInt } from "node:crypto";
import { once } from "node:events";
import { chmodSync, existsSync, mkdtempSync, readFileSync, readdirSync, rmSync } from "node:fs";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { fileURLToPath } from "node:url";

const REPOSITORY = dirname(dirname(fileURLToPath(import.meta.url)));
const PASSWORD = "correct horse battery staple";
const counts = { passed: 0, failed: 0 };

/** Runs one check. What fails is said; what comes after is tried all the same. */
async function check(name, subject) {
  try {
    const value = await subject();
    counts.passed += 1;
    process.stdout.write(`  passed: ${name}\n`);
    return value;
  } catch (error) {
    counts.failed += 1;
    process.stdout.write(`  FAILED: ${name}: ${error.message}\n`);
    return undefined;
  }
}

function must(condition, message) {
  if (!condition) throw new Error(message);
}

/** None of those that the system gives to whoever asks for any: one could be gone before the server listens there again. */
async function freePort() {
  for (;;) {
    const port = randomInt(11_000, 32_768);
    const server = createServer().listen(port, "127.0.0.1");
    const isFree = await once(server, "listening").then(
      () => true,
      () => false,
    );
    if (!isFree) continue;
    server.close();
    await once(server, "close");
    return port;
  }
}

/** Two seconds, or longer where Node alone takes longer than a slow machine needs for it, a tenth of a second, to do nothing. */
function mostMsOfStart() {
  const begun = performance.now();
  for (let run = 0; run < 5; run++) execFileSync(process.execPath, ["--eval", "0"]);
  const msOfNode = (performance.now() - begun) / 5;
  return 2_000 * Math.max(1, msOfNode / 100);
}

/** One clone, and who starts a server in it. */
class Place {
  constructor(directory, user) {
    this.directory = directory;
    this.user = user;
  }

  async prepare() {
    this.port = await freePort();
    this.metricsPort = await freePort();
    this.url = `http://localhost:${this.port}`;
  }

  start(command = ["start"]) {
    const env = {
      ...process.env,
      // Many users that run services have no home.
      ...(this.user !== undefined && { HOME: "/nonexistent", npm_config_cache: undefined }),
      ARCHIPEL_LISTENER_PORT: String(this.port),
      ARCHIPEL_METRICS_PORT: String(this.metricsPort),
      CI: "",
    };
    const child = spawn("npm", command, {
      cwd: this.directory,
      env,
      detached: true,
      ...this.user,
    });
    this.said = "";
    for (const stream of [child.stdout, child.stderr]) {
      stream.on("data", (chunk) => (this.said += chunk.toString()));
    }
    this.child = child;
    this.exited = new Promise((settle) =>
      child.once("exit", (status, signal) => settle(signal ?? status)),
    );
  }

  /** Milliseconds until it says that it is ready, and answers: one that is just ending may still answer. */
  async ready(withinMs) {
    const begun = performance.now();
    while (performance.now() - begun < withinMs) {
      if (/\bready\b/.test(this.said)) {
        const answer = await fetch(`${this.url}/_matrix/client/versions`);
        must(answer.status === 200, `/versions answers ${answer.status}`);
        return performance.now() - begun;
      }
      must(
        this.child.exitCode === null,
        `npm start ended with ${this.child.exitCode}:\n${this.said}`,
      );
      await sleep(10);
    }
    throw new Error(`did not answer within ${withinMs} ms:\n${this.said}`);
  }

  /** Until it says something. */
  async says(words, withinMs) {
    for (let waitedMs = 0; !this.said.includes(words); waitedMs += 20) {
      must(waitedMs < withinMs, `did not say "${words}" within ${withinMs} ms:\n${this.said}`);
      await sleep(20);
    }
  }

  /** Until it can do its work. */
  async healthy(withinMs) {
    const begun = performance.now();
    while ((await fetch(`${this.url}/health`)).status !== 200) {
      must(performance.now() - begun < withinMs, `was not healthy within ${withinMs} ms`);
      await sleep(50);
    }
  }

  async request(method, path, { body, token } = {}) {
    const response = await fetch(this.url + path, {
      method,
      headers: token === undefined ? {} : { authorization: `Bearer ${token}` },
      ...(body !== undefined && { body: JSON.stringify(body) }),
    });
    const answer = await response.json();
    must(response.ok, `${method} ${path}: ${response.status} ${JSON.stringify(answer)}`);
    return answer;
  }

  /** To the whole group, as a terminal does it. */
  signal(name) {
    process.kill(-this.child.pid, name);
  }

  /** The processes below npm: the server, its database, the database's own. */
  descendants() {
    const parents = new Map(allProcesses().map((pid) => [pid, parentOf(pid)]));
    const found = new Set([this.child.pid]);
    for (let before = 0; before !== found.size;) {
      before = found.size;
      for (const [pid, parent] of parents) if (found.has(parent)) found.add(pid);
    }
    found.delete(this.child.pid);
    return [...found];
  }

  postmaster() {
    const file = join(this.directory, "data/postgres/postmaster.pid");
    return existsSync(file) ? Number(readFileSync(file, "utf8").split("\n")[0]) : undefined;
  }
}

const allProcesses = () =>
  readdirSync("/proc")
    .filter((entry) => /^\d+$/.test(entry))
    .map(Number);

const statusOf = (pid) => {
  try {
    return readFileSync(`/proc/${pid}/stat`, "latin1")
      .replace(/^.*\) /s, "")
      .split(" ");
  } catch {
    return [];
  }
};
const parentOf = (pid) => Number(statusOf(pid)[1]);
const isAlive = (pid) => !["Z", undefined].includes(statusOf(pid)[0]);

async function allGone(pids, withinMs) {
  for (let waitedMs = 0; pids.some(isAlive) && waitedMs < withinMs; waitedMs += 50) await sleep(50);
  const left = pids.filter(isAlive);
  must(left.length === 0, `still there: ${left.map((pid) => commandOf(pid)).join(" | ")}`);
}

function commandOf(pid) {
  try {
    return `${pid} ${readFileSync(`/proc/${pid}/cmdline`, "utf8").replaceAll("\0", " ")}`;
  } catch {
    return String(pid);
  }
}

/** Fills in the form behind the link, as a person would. */
async function makeFirstAdministrator(place, link) {
  const page = await fetch(link);
  const html = await page.text();
  must(
    page.status === 200 && /<form/i.test(html),
    `no form, but ${page.status}: ${html.slice(0, 200)}`,
  );
  const fields = new URLSearchParams();
  for (const [input] of html.matchAll(/<input[^>]*>/gi)) {
    const attribute = (name) => new RegExp(`\\b${name}="([^"]*)"`, "i").exec(input)?.[1];
    const name = attribute("name");
    if (name === undefined) continue;
    if (/pass/i.test(name)) fields.set(name, PASSWORD);
    else if (/user|name|localpart/i.test(name)) fields.set(name, "boss");
    else fields.set(name, attribute("value") ?? "");
  }
  const action = /<form[^>]*\baction="([^"]*)"/i.exec(html)?.[1]?.replaceAll("&amp;", "&");
  const target = new URL(action ?? link, link);
  const send = () => fetch(target, { method: "POST", body: fields, redirect: "manual" });
  const answer = await send();
  must(answer.status < 400, `${answer.status}: ${(await answer.text()).slice(0, 300)}`);
  must((await send()).status >= 400, "the link works twice");
}

async function useIt(place) {
  const link = await check(
    "says where it listens, where the data is, and how to make the first administrator",
    () => {
      must(place.said.includes(String(place.port)), `no address in: ${place.said}`);
      must(
        place.said.includes(join(place.directory, "data")),
        `no data directory in: ${place.said}`,
      );
      const found = /https?:\/\/\S+token=[\w-]+/.exec(place.said)?.[0];
      must(found !== undefined, `no link in: ${place.said}`);
      return found;
    },
  );
  await check("the link makes the first administrator, once", () =>
    makeFirstAdministrator(place, link),
  );
  return await check("the administrator logs in, makes a room, and says something", async () => {
    const login = {
      type: "m.login.password",
      identifier: { type: "m.id.user", user: "boss" },
      password: PASSWORD,
    };
    const { access_token: token } = await place.request("POST", "/_matrix/client/v3/login", {
      body: login,
    });
    const { room_id: room } = await place.request("POST", "/_matrix/client/v3/createRoom", {
      token,
      body: {},
    });
    const at = `/_matrix/client/v3/rooms/${encodeURIComponent(room)}`;
    const { event_id: event } = await place.request("PUT", `${at}/send/m.room.message/1`, {
      token,
      body: { msgtype: "m.text", body: "hello" },
    });
    const path = `${at}/event/${encodeURIComponent(event)}`;
    must(
      (await place.request("GET", path, { token })).content.body === "hello",
      "it reads otherwise",
    );
    return { path, token };
  });
}

async function stillThere(place, message) {
  must(message !== undefined, "nothing was said before");
  const { content } = await place.request("GET", message.path, { token: message.token });
  must(content.body === "hello", "it reads otherwise");
}

async function checkStart(place) {
  await place.prepare();
  await check(
    "npm start alone installs, and can be killed while it makes its database",
    async () => {
      place.start();
      await place.says("making the database", 240_000);
      await sleep(Math.random() * 1_000);
      const below = place.descendants();
      for (const pid of [place.child.pid, ...below]) if (isAlive(pid)) process.kill(pid, "SIGKILL");
      await allGone(below, 10_000);
    },
  );
  await check("the next npm start starts all the same", async () => {
    place.start();
    await place.ready(60_000);
  });
  await sleep(300); // for what it says once it is ready
  const message = await useIt(place);
  await check("/health and /metrics answer", async () => {
    must((await fetch(`${place.url}/health`)).status === 200, "no /health");
    must(
      (await fetch(`http://127.0.0.1:${place.metricsPort}/metrics`)).status === 200,
      "no /metrics",
    );
  });
  await check("a second npm start says which process has the data, and harms nothing", async () => {
    const second = new Place(place.directory, place.user);
    await second.prepare();
    second.start();
    must((await second.exited) === 1, `it ended with ${await second.exited}`);
    must(/is in use by process \d+: stop that one first/.test(second.said), second.said);
    await stillThere(place, message);
  });
  await check("Ctrl-C ends it cleanly", async () => {
    const below = place.descendants();
    place.signal("SIGINT");
    await Promise.race([place.exited, sleep(10_000)]);
    await allGone(below, 5_000);
    must(place.postmaster() === undefined, "PostgreSQL was not shut down");
  });
  await check("the second start takes less than two seconds, and nothing is lost", async () => {
    place.start();
    let ms = await place.ready(30_000);
    await stillThere(place, message);
    let mostMs = mostMsOfStart();
    // A machine that does something else at that moment says little of how long it takes.
    for (let again = 0; ms >= mostMs && again < 3; again++) {
      place.signal("SIGINT");
      await place.exited;
      place.start();
      ms = await place.ready(30_000);
      mostMs = mostMsOfStart();
    }
    must(ms < mostMs, `it took ${Math.round(ms)} ms, and may take ${Math.round(mostMs)}`);
  });
  await check("says what to do when its port is taken, and installs what has gone", async () => {
    place.signal("SIGINT");
    await place.exited;
    rmSync(join(place.directory, "node_modules", "zod"), { recursive: true });
    const other = createServer().listen(place.port, "127.0.0.1");
    await once(other, "listening");
    place.start();
    must((await place.exited) === 1, `it ended with ${await place.exited}`);
    must(place.said.includes("is in use by another program: stop that one, or set "), place.said);
    other.close();
    await once(other, "close");
    place.start();
    await place.ready(30_000);
    await stillThere(place, message);
  });
  for (const victim of ["npm", "the server", "PostgreSQL", "everything"]) {
    await check(`kill -9 of ${victim} leaves nothing in the way of the next start`, async () => {
      const below = place.descendants();
      const server = below.find((pid) => commandOf(pid).includes(".cache/server.mjs"));
      const postmaster = place.postmaster();
      must(server !== undefined && postmaster !== undefined, "is not running");
      const parts = below.filter((pid) => parentOf(pid) === postmaster);
      const pids = { npm: [place.child.pid], "the server": [server], PostgreSQL: [postmaster] };
      for (const pid of pids[victim] ?? [place.child.pid, ...below]) {
        if (isAlive(pid)) process.kill(pid, "SIGKILL");
      }
      if (victim === "PostgreSQL") {
        // No part survives it; until the last has ended, all may seem to be well. The server starts it again by
        // itself; how long that takes is the disk's affair.
        await allGone([postmaster, ...parts], 10_000);
        await place.healthy(30_000);
      } else {
        place.start();
        await place.ready(30_000);
        const now = new Set([place.child.pid, ...place.descendants()]);
        await allGone(
          below.filter((pid) => !now.has(pid)),
          10_000,
        );
      }
      await stillThere(place, message);
    });
  }
  await check("SIGTERM ends it cleanly", async () => {
    const below = place.descendants();
    place.signal("SIGTERM");
    await Promise.race([place.exited, sleep(10_000)]);
    await allGone(below, 5_000);
  });
  if (place.child.exitCode === null && place.child.signalCode === null) place.signal("SIGKILL");
}

/** The demonstration says itself whether what it shows is so. */
async function checkDemo(place) {
  await check("npm run demo runs through and leaves nothing behind", async () => {
    place.start(["run", "demo", "--", "--once"]);
    const patience = setTimeout(() => place.signal("SIGKILL"), 180_000);
    const status = await place.exited;
    clearTimeout(patience);
    must(status === 0, `it ended with ${status}:\n${place.said}`);
    must(/^ {2}Lyon alone +none +\d+ +none$/m.test(place.said), place.said);
    const directory = /^(\/.*archipel-demo-\S+),/m.exec(place.said)?.[1];
    must(directory !== undefined && !existsSync(directory), `${directory} is still there`);
    const pids = [...place.said.matchAll(/ {2}process (\d+)/g)].map(([, pid]) => Number(pid));
    must(pids.length === 3, place.said);
    await allGone(pids, 5_000);
  });
}

/** A fresh clone below a directory with this mode. */
function clone(mode, user) {
  const above = mkdtempSync(join(tmpdir(), "archipel-clone-"));
  const directory = join(above, "archipel");
  execFileSync("git", ["clone", "--quiet", "--no-hardlinks", REPOSITORY, directory]);
  chmodSync(above, mode);
  if (user !== undefined) {
    execFileSync("chown", ["-R", `${user.uid}:${user.gid}`, directory]);
  }
  return directory;
}

function nobody() {
  const ask = (flag) => Number(execFileSync("id", [flag, "nobody"], { encoding: "utf8" }));
  return { uid: ask("-u"), gid: ask("-g") };
}

const asRoot = process.getuid() === 0;
const turns = asRoot
  ? [
      // Like /root: nobody else may pass.
      { who: "root", mode: 0o700 },
      { who: "an ordinary user", mode: 0o755, user: nobody() },
    ]
  : [{ who: "an ordinary user", mode: 0o755 }];
for (const { who, mode, user } of turns) {
  process.stdout.write(`npm start as ${who}:\n`);
  const directory = clone(mode, user);
  await checkStart(new Place(directory, user));
  await checkDemo(new Place(directory, user));
  rmSync(dirname(directory), { recursive: true, force: true });
}
process.stdout.write(`${counts.passed} passed, ${counts.failed} failed\n`);
process.exit(counts.failed === 0 ? 0 : 1);
