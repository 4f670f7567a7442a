// `npm run check`: everything about the code that a tool can see. All of it runs, also after a failure. The last line has
// the sums.
import { spawnSync } from "node:child_process";
import { existsSync, globSync } from "node:fs";
import { join } from "node:path";

const CODE = ["src", "federation", "schema", "spec-tests", "bench", "deploy"].filter((folder) =>
  existsSync(folder),
);
const LINTED = [
  ...CODE,
  "drizzle.config.ts",
  "vitest.config.ts",
  ".dependency-cruiser.js",
  ".dependency-cruiser-folders.js",
];

const CHECKS = [
  { name: "types", tool: "tsc", args: ["--project", "."] },
  { name: "lint", tool: "oxlint", args: ["--type-aware", ...LINTED] },
  { name: "format", tool: "oxfmt", args: ["--check", ...LINTED] },
  {
    name: "floors",
    tool: "depcruise",
    args: ["--config", ".dependency-cruiser.js", ...CODE],
    also: cruisedAll,
  },
  {
    name: "folders",
    tool: "depcruise",
    args: ["--config", ".dependency-cruiser-folders.js", "src", "federation", "schema"],
  },
  { name: "unused code", tool: "knip", args: [] },
  { name: "documentation", args: [join("deploy", "write-docs.mjs"), "--check"] },
];

/** The tool says that all is well when it could read nothing, as with a TypeScript that it does not know. */
function cruisedAll(output) {
  const modules = Number(
    /\((\d+) modules|(\d+) modules,/.exec(output)?.slice(1).find(Boolean) ?? 0,
  );
  const files = globSync(CODE.map((folder) => `${folder}/**/*.ts`)).length;
  return modules >= files ? "" : `read ${modules} modules, but there are ${files} files\n`;
}

const failed = CHECKS.filter(({ name, tool, args, also }) => {
  const begun = performance.now();
  const { status, stdout, stderr, error } = spawnSync(
    process.execPath,
    [...(tool === undefined ? [] : [join("node_modules", ".bin", tool)]), ...args],
    { encoding: "utf8", maxBuffer: 64 * 1024 * 1024 },
  );
  const output = `${stdout ?? ""}${stderr ?? ""}${error?.message ?? ""}`;
  const fault = status === 0 ? (also?.(output) ?? "") : output;
  const isWell = status === 0 && fault === "";
  const seconds = ((performance.now() - begun) / 1000).toFixed(1);
  process.stdout.write(`${fault}${name}: ${isWell ? "well" : "FAILED"} (${seconds} s)\n`);
  return !isWell;
});
process.stdout.write(`${CHECKS.length - failed.length} passed, ${failed.length} failed\n`);
process.exitCode = failed.length === 0 ? 0 : 1;
