// Makes one file of the thousand modules that a server consists of. To read them one by one takes most of the time until it
// is ready, and some 25 MB for as long as it runs.
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
import { readFile, writeFile } from "node:fs/promises";
import { dirname, join } from "node:path";
import { pathToFileURL } from "node:url";

const SOURCES = ["src", "federation", "schema"];

/** What has parts in machine code, or starts threads from files of its own, stays where it is. */
const AS_IT_IS = ["@node-rs/argon2", "pino", "pino-pretty"];

/** Nobody takes longer to write it. */
const UNFINISHED_FOR_MS = 60_000;

/**
 * Where the server's program is: all of it in one file, which is made anew when anything has changed; or the sources as they
 * are, where that cannot be done.
 *
 * @param {string} root the repository, with its packages installed
 * @returns {Promise<string>} a path for Node to run
 */
export async function bundleOf(root) {
  const bundle = join(root, ".cache", "server.mjs");
  const mark = `// ${digestOf(root)}\n`;
  if (beginningOf(bundle, mark.length) === mark) return bundle;
  const unfinished = `${bundle}.${process.pid}`;
  try {
    mkdirSync(dirname(bundle), { recursive: true });
    removeUnfinished(bundle);
    await writeFile(unfinished, mark + (await build(root)));
    renameSync(unfinished, bundle);
    return bundle;
  } catch (error) {
    rmSync(unfinished, { force: true });
    process.stderr.write(
      `The server starts from its sources, which takes longer: ${error.message}\n`,
    );
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

async function build(root) {
  const { build, stop } = await import("esbuild");
  const { outputFiles } = await build({
    absWorkingDir: root,
    entryPoints: ["src/main.ts"],
    bundle: true,
    write: false,
    platform: "node",
    format: "esm",
    target: "esnext",
    charset: "utf8",
    logLevel: "silent",
    external: AS_IT_IS,
    plugins: [{ name: "archipel", setup: asNodeWouldLoadIt }],
    // Packages of the older kind ask for Node's own modules with it.
    banner: {
      js: 'import { createRequire as requireFrom } from "node:module";\nconst require = requireFrom(import.meta.url);',
    },
  });
  await stop();
  return outputFiles[0].text;
}

function asNodeWouldLoadIt({ onLoad, onResolve }) {
  // What few servers need is loaded by those that do.
  onResolve({ filter: /^[^.#]/ }, ({ kind }) =>
    kind === "dynamic-import" ? { external: true } : undefined,
  );
  // Files that stand beside a module are found there.
  onLoad({ filter: /\.ts$/ }, async ({ path }) => {
    const source = await readFile(path, "utf8");
    if (!source.includes("import.meta.url")) return undefined;
    const url = JSON.stringify(pathToFileURL(path).href);
    return { loader: "ts", contents: source.replaceAll("import.meta.url", url) };
  });
}

/** Another one when any source, any package, or the place of them all is another. */
function digestOf(root) {
  const digest = createHash("sha256").update(readFileSync(join(root, "package-lock.json")));
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
