// What every npm script runs: installs what is missing, finds the right Node, and hands over to it. Plain JavaScript for
// Node 20 or later.
import { spawn, spawnSync } from "node:child_process";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { bundleOf } from "./bundle.mjs";
import { findNode } from "./find-node.mjs";
import { ensureInstalled, installOlderNode } from "./install.mjs";

const root = dirname(dirname(fileURLToPath(import.meta.url)));
const bin = (name, path) => join(root, "node_modules", name, path);

/** What each script hands over to: a program for Node and its first arguments, or what finds it. */
const TASKS = {
  start: { program: bundleOf, endsWithParent: true },
  demo: { program: [join(root, "deploy", "demo", "main.ts")], endsWithParent: true },
  test: {
    program: [bin("vitest", "vitest.mjs"), "run"],
    // What the tests hold us against. Without Python they leave it out, and say so.
    before: ["oracle", "object-store"].map((it) => join(root, "spec-tests", it, "install.ts")),
  },
  check: { program: [join(root, "deploy", "check.mjs")] },
  docs: { program: [join(root, "deploy", "write-docs.mjs")] },
  bench: { program: [join(root, "bench", "run.ts")] },
};

const [name = "", ...rest] = process.argv.slice(2);
const task = TASKS[name];
if (task === undefined) {
  process.stderr.write(`Usage: node deploy/run.mjs ${Object.keys(TASKS).join("|")}\n`);
  process.exit(64);
}

try {
  await ensureInstalled(root, task.endsWithParent ? "production" : "all");
  const node = await nodeFor(root);
  for (const program of task.before ?? []) prepare(node, program);
  const program = Array.isArray(task.program) ? task.program : [task.program(root)];
  handOver(node, { ...task, program }, rest);
} catch (error) {
  process.stderr.write(`${error.message}\n`);
  process.exit(1);
}

/** The Node to run with. The one of our packages needs a library that bare machines lack; an older one does not. */
async function nodeFor(root) {
  let found = findNode(root);
  if (found.lacksLibrary !== undefined) {
    process.stderr.write(`This machine has no ${found.lacksLibrary}: fetching an older Node ...\n`);
    await installOlderNode(root, () => findNode(root).node === undefined);
    found = findNode(root);
  }
  if (found.node === undefined) throw new Error(found.why);
  return found.node;
}

/** Does what a task can do without; says in one line why it could not. */
function prepare(node, program) {
  const { status, stderr } = spawnSync(node, [program], { encoding: "utf8" });
  if (status === 0) return;
  const why = /^\w*Error: (.*)$/m.exec(stderr ?? "")?.[1] ?? `exit status ${status}`;
  process.stderr.write(`${why}\n`);
}

function handOver(node, { program, endsWithParent = false }, args) {
  const underNpm = process.env["npm_lifecycle_event"] !== undefined;
  const canBecome = process.execve !== undefined;
  // If we stay between, the server must notice when we are killed; if not, only npm is above it.
  const watch = endsWithParent && (underNpm || !canBecome);
  const command = [
    "--disable-warning=ExperimentalWarning",
    // V8 would collect twice half a minute after every rest, however little there is to give back. A server does it itself.
    "--no-memory-reducer",
    // After each rest V8 would collect anew for every ten megabytes that a burst of requests takes, which costs as much as
    // they do: it takes a server that has rested for one that needs little.
    "--heap-growing-percent=100",
    ...(watch ? ["--import", new URL("end-with-parent.mjs", import.meta.url).href] : []),
    ...program,
    ...args,
  ];
  const compiled = join(root, "node_modules", ".cache", "compiled");
  const env = { ...process.env, NODE_COMPILE_CACHE: process.env["NODE_COMPILE_CACHE"] ?? compiled };
  // Relative paths in arguments and configuration are the caller's.
  if (!endsWithParent) process.chdir(root);
  if (canBecome) {
    process.removeAllListeners("warning");
    process.execve(node, [node, ...command], env);
  }
  stayBetween(spawn(node, command, { stdio: "inherit", env }), endsWithParent && underNpm);
}

/** Older versions of Node cannot become another program: signals go down, and the exit status comes up. */
function stayBetween(child, endsWithNpm) {
  for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"]) {
    process.on(signal, () => child.kill(signal));
  }
  child.on("error", (error) => {
    process.stderr.write(`${child.spawnfile}: ${error.message}\n`);
    process.exit(1);
  });
  child.on("exit", (status, signal) => {
    if (signal === null) process.exit(status);
    process.removeAllListeners(signal);
    process.kill(process.pid, signal);
  });
  if (!endsWithNpm) return;
  const parent = process.ppid;
  const watch = setInterval(() => {
    if (process.ppid === parent) return;
    clearInterval(watch);
    child.kill("SIGTERM");
  }, 250);
  watch.unref();
}
