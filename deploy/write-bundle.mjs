// Writes all modules of the server into one file: `node deploy/write-bundle.mjs ROOT FILE FIRST-LINE`. A program of its own, since
// esbuild is a process that whoever becomes the server would never hear of again.
import { readFile, writeFile } from "node:fs/promises";
import { pathToFileURL } from "node:url";
import { build } from "esbuild";

/** What has parts in machine code, or starts threads from files of its own, stays where it is. */
const AS_IT_IS = ["@node-rs/argon2", "pino", "pino-pretty"];

const [root, file, firstLine] = process.argv.slice(2);
const { outputFiles } = await build({
  absWorkingDir: root,
  entryPoints: ["src/main.ts"],
  bundle: true,
  write: false,
  platform: "node",
  format: "esm",
  target: "esnext",
  charset: "utf8",
  external: AS_IT_IS,
  plugins: [{ name: "archipel", setup: asNodeWouldLoadIt }],
  // Packages of the older kind ask for Node's own modules with it.
  banner: {
    js: 'import { createRequire as requireFrom } from "node:module";\nconst require = requireFrom(import.meta.url);',
  },
});
await writeFile(file, `${firstLine}\n${outputFiles[0].text}`);

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
