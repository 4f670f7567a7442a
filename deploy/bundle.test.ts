import { execFileSync } from "node:child_process";
import {
  mkdirSync,
  mkdtempSync,
  readdirSync,
  rmSync,
  statSync,
  symlinkSync,
  utimesSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { afterEach, beforeEach, expect, test } from "vitest";
// @ts-expect-error It is plain JavaScript, since it runs before there is anything else.
import { bundleOf } from "./bundle.mjs";

let root: string;
beforeEach(() => {
  root = mkdtempSync(join(tmpdir(), "archipel-bundle-"));
  symlinkSync(join(import.meta.dirname, "..", "node_modules"), join(root, "node_modules"));
  put("package.json", '{ "type": "module", "imports": { "#federation/*": "./federation/*" } }');
  put("package-lock.json", "{}");
  put("schema/beside.txt", "what stands beside");
  put("federation/says.ts", 'export const says: string = "one thing";');
  put(
    "schema/reads.ts",
    `import { readFileSync } from "node:fs";
     export const beside = readFileSync(new URL("beside.txt", import.meta.url), "utf8");`,
  );
  put(
    "src/main.ts",
    `import { says } from "#federation/says.ts";
     import { beside } from "../schema/reads.ts";
     console.log(says, "and", beside);
     if (process.argv.length > 2) await import("a-package-that-is-not-there");`,
  );
});
afterEach(() => rmSync(root, { recursive: true }));

function put(path: string, text: string): void {
  mkdirSync(dirname(join(root, path)), { recursive: true });
  writeFileSync(join(root, path), text);
}

const bundle = (): string => String(bundleOf(root));
const run = (path: string): string => execFileSync(process.execPath, [path], { encoding: "utf8" });

test("is one file that does what the sources do, and finds what stands beside them", () => {
  const path = bundle();
  rmSync(join(root, "federation"), { recursive: true });
  expect(run(path)).toBe("one thing and what stands beside\n");
});

test("is made once, and anew when a source is another", () => {
  const path = bundle();
  const { ino } = statSync(path);
  expect(statSync(bundle()).ino).toBe(ino);
  put("src/main.test.ts", "a test is no part of it");
  expect(statSync(bundle()).ino).toBe(ino);
  // Of the same length.
  put("federation/says.ts", 'export const says: string = "two thing";');
  expect(run(bundle())).toBe("two thing and what stands beside\n");
});

test("is made anew when the packages are others", () => {
  const { ino } = statSync(bundle());
  put("package-lock.json", "{ }");
  expect(statSync(bundle()).ino).not.toBe(ino);
});

test("leaves alone what is loaded only when it is needed", () => {
  const path = bundle();
  expect(() => execFileSync(process.execPath, [path, "now"], { stdio: "pipe" })).toThrow(
    "a-package-that-is-not-there",
  );
});

test("takes away what a killed start had begun to write, and not what one has just begun", () => {
  put(".cache/server.mjs.12", "the beginning");
  put(".cache/server.mjs.13", "the beginning");
  utimesSync(join(root, ".cache/server.mjs.12"), 0, 0);
  bundle();
  expect(readdirSync(join(root, ".cache"))).toEqual(["server.mjs", "server.mjs.13"]);
});

test("leaves it to the sources where it cannot be made", () => {
  put(".cache/server.mjs/in-the-way", "");
  expect(bundle()).toBe(join(root, "src", "main.ts"));
});
