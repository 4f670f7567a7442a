// Makes one file of the thousand modules that a server consists of. To read them one by one takes most of the time until it
// is ready, and some 17 MB for as long as it runs.
import { execFileSync } from "node:child_process";
import { createHash } from "node:crypto";
import {
  closeSync,
  mkdirSync,
  openSync,
  readFileSync,
  readSync,
  readdirSync,
  renameSync,
  rmSync,
  statSync,
} from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";

const SOURCES = ["src", "federation", "schema"];

const WRITE = fileURLToPath(new URL("write-bundle.mjs", import.meta.url));

/** Nobody takes longer to write it. */
const UNFINISHED_FOR_MS = 60_000;

/**
 * Where the server's program is: all of it in one file, which is made anew when anything has changed; or the sources as they
 * are, where that cannot be done.
 *
 * @param {string} root the repository, with its packages installed
 * @returns {string} a path for Node to run
 */
export function bundleOf(root) {
  const bundle = join(root, ".cache", "server.mjs");
  const mark = `// ${digestOf(root)}\n`;
  if (beginningOf(bundle, mark.length) === mark) return bundle;
  const unfinished = `${bundle}.${process.pid}`;
  try {
    mkdirSync(dirname(bundle), { recursive: true });
    removeUnfinished(bundle);
    execFileSync(process.execPath, [WRITE, root, unfinished, mark.trim()], { stdio: "pipe" });
    renameSync(unfinished, bundle);
    return bundle;
  } catch (error) {
    rmSync(unfinished, { force: true });
    const why = String(error.stderr ?? "").trim() || error.message;
    process.stderr.write(`The server starts from its sources, which takes longer: ${why}\n`);
    return join(root, "src", "main.ts");
  }
}

/** What starts that were killed had begun to write. */
function removeUnfinished(bundle) {
  for (const name of readdirSync(dirname(bundle))) {
    const path = join(dirname(bundle), name);
    if (!path.startsWith(`${bundle}.`)) continue;
    const { mtimeMs } = statSync(path, { throwIfNoEntry: false }) ?? { mtimeMs: Date.now() };
    if (Date.now() - mtimeMs > UNFINISHED_FOR_MS) rmSync(path, { force: true });
  }
}

/** Another one when any source, any package, the place of them all, or how it is made is another. */
function digestOf(root) {
  const digest = createHash("sha256");
  for (const file of [WRITE, join(root, "package-lock.json")]) digest.update(readFileSync(file));
  const walk = (folder) => {
    for (const entry of readdirSync(folder, { withFileTypes: true })) {
      const path = `${folder}/${entry.name}`;
      if (entry.isDirectory()) walk(path);
      if (!path.endsWith(".ts") || path.endsWith(".test.ts")) continue;
      // Archives give times of writing of their own; this one nobody can set.
      const { size, ctimeMs } = statSync(path);
      digest.update(`${path} ${size} ${ctimeMs}\n`);
    }
  };
  for (const folder of SOURCES) walk(join(root, folder));
  return digest.digest("hex");
}

function beginningOf(file, bytes) {
  try {
    const descriptor = openSync(file);
    try {
      const buffer = Buffer.alloc(bytes);
      readSync(descriptor, buffer);
      return buffer.toString("utf8");
    } finally {
      closeSync(descriptor);
    }
  } catch {
    return undefined;
  }
}
