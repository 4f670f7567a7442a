// Finds a Node that runs our TypeScript as it is. Plain JavaScript for Node 20 or later.
import { spawnSync } from "node:child_process";
import { existsSync } from "node:fs";
import { join } from "node:path";

/** The Node that needs least CPU for each request, and the oldest that can run us. */
const BEST = [26, 0];
const OLDEST = [24, 12];

/**
 * The Node to run with: the one that runs this if it is new enough, otherwise the one that was installed with us.
 *
 * @param {string} root the repository
 * @returns {string} its path
 */
export function findNode(root) {
  if (isAtLeast(BEST)) return process.execPath;
  const names = [
    `node-${process.platform}-${process.arch}`,
    `node-bin-${process.platform}-${process.arch}`,
  ];
  const packed = names
    .map((name) => join(root, "node_modules", name, "bin", "node"))
    .find((path) => existsSync(path) && spawnSync(path, ["--version"]).status === 0);
  if (packed !== undefined) return packed;
  if (isAtLeast(OLDEST)) return process.execPath;
  throw new Error(
    `Node ${process.versions.node} is too old, and the npm registry has none for ` +
      `${process.platform} on ${process.arch}: install Node ${OLDEST.join(".")} or later.`,
  );
}

function isAtLeast([major, minor]) {
  const [ownMajor, ownMinor] = process.versions.node.split(".").map(Number);
  return ownMajor > major || (ownMajor === major && ownMinor >= minor);
}
