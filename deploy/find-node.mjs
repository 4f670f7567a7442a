// Finds a Node that runs our TypeScript as it is. Plain JavaScript for Node 20 or later.
import { spawnSync } from "node:child_process";
import { existsSync } from "node:fs";
import { join } from "node:path";

/** The Node that needs least CPU for each request, and the oldest that can run us. */
const BEST = [26, 0];
const OLDEST = [24, 12];

/**
 * The Node to run with: the one that runs this if it is new enough, otherwise one that was installed with us.
 *
 * @param {string} root the repository
 * @param {string} own the version of the Node that runs this
 * @returns {{ node: string } | { lacksLibrary: string | undefined, why: string }} its path; or which library the one that
 *   was installed with us does not find here, if that is why, and what to tell whoever starts us
 */
export function findNode(root, own = process.versions.node) {
  if (isAtLeast(BEST, own)) return { node: process.execPath };
  let fault = `the npm registry has none for ${process.platform} on ${process.arch}`;
  let lacksLibrary;
  for (const path of packedNodes(root)) {
    const { status, stderr, error } = spawnSync(path, ["--version"], { encoding: "utf8" });
    if (status === 0) return { node: path };
    const said = (stderr || error?.message || `exit status ${status}`).trim();
    fault = `the one that comes with the packages cannot run here (${said})`;
    lacksLibrary ??= /(\S+): cannot open shared object file/.exec(said)?.[1];
  }
  if (isAtLeast(OLDEST, own)) return { node: process.execPath };
  const why = `Node ${own} is too old, and ${fault}: install Node ${OLDEST.join(".")} or later.`;
  return { lacksLibrary, why };
}

/** Those that are there, the best first: that of our packages, and that of `installOlderNode`. */
function packedNodes(root) {
  return [join(root, "node_modules"), join(root, "deploy", "older-node", "node_modules")]
    .flatMap((modules) => [
      join(modules, `node-${process.platform}-${process.arch}`),
      join(modules, `node-bin-${process.platform}-${process.arch}`),
    ])
    .map((directory) => join(directory, "bin", "node"))
    .filter((path) => existsSync(path));
}

function isAtLeast([major, minor], own) {
  const [ownMajor, ownMinor] = own.split(".").map(Number);
  return ownMajor > major || (ownMajor === major && ownMinor >= minor);
}
