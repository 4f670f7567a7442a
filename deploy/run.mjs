// What every npm script runs: installs what is missing, finds the right Node, and hands over to it. Plain JavaScript for
// Node 20 or later.
import { spawn } from "node:child_process";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { findNode } from "./find-node.mjs";
import { ensureInstalled } from "./install.mjs";

const root = dirname(dirname(fileURLToPath(import.meta.url)));
const bin = (name, path) => join(root, "node_modules", name, path);

/** What each script hands over to: a program for Node and its first arguments. */
const TASKS = {
  start: { program: [join(root, "src", "main.ts")], endsWithParent: true },
  test: { program: [bin("vitest", "vitest.mjs"), "run"] },
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
  await ensureInstalled(root, name === "start" ? "production" : "all");
  handOver(findNode(root), task, rest);
} catch (error) {
  process.stderr.write(`${error.message}\n`);
  process.exit(1);
}

function handOver(node, { program: [file, ...before], endsWithParent = false }, args) {
  const watch = endsWithParent
    ? ["--import", new URL("end-with-parent.mjs", import.meta.url).href]
    : [];
  const child = spawn(
    node,
    ["--disable-warning=ExperimentalWarning", ...watch, file, ...before, ...args],
    {
      // Relative paths in arguments and configuration are the caller's; npm has us in the root.
      cwd: endsWithParent ? process.cwd() : root,
      stdio: "inherit",
      env: {
        ...process.env,
        NODE_COMPILE_CACHE:
          process.env["NODE_COMPILE_CACHE"] ?? join(root, "node_modules", ".cache", "compiled"),
      },
    },
  );
  // The child ends when it has put its things away, and we after it.
  for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"]) {
    process.on(signal, () => child.kill(signal));
  }
  if (endsWithParent) endWithParent(child);
  child.on("error", (error) => {
    process.stderr.write(`${node}: ${error.message}\n`);
    process.exit(1);
  });
  child.on("exit", (status, signal) => {
    if (signal === null) process.exit(status);
    process.removeAllListeners(signal);
    process.kill(process.pid, signal);
  });
}

/** An npm that is killed cannot tell us so. Started by a shell instead, we may outlive it. */
function endWithParent(child) {
  if (process.env["npm_lifecycle_event"] === undefined) return;
  const parent = process.ppid;
  const watch = setInterval(() => {
    if (process.ppid === parent) return;
    clearInterval(watch);
    child.kill("SIGTERM");
  }, 250);
  watch.unref();
}
