import { chmodSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { afterEach, beforeEach, expect, test } from "vitest";
// @ts-expect-error It is plain JavaScript, since it runs before there is anything else.
import { findNode } from "./find-node.mjs";

let root: string;
beforeEach(() => {
  root = mkdtempSync(join(tmpdir(), "archipel-find-node-"));
});
afterEach(() => rmSync(root, { recursive: true }));

/** A program that stands where a packed Node would. */
function packed(modules: string, script: string): string {
  const name = `node-${process.platform}-${process.arch}`;
  const path = join(root, modules, name, "bin", "node");
  mkdirSync(dirname(path), { recursive: true });
  writeFileSync(path, `#!/bin/sh\n${script}\n`);
  chmodSync(path, 0o755);
  return path;
}

const LACKS = `echo "node: error while loading shared libraries: libatomic.so.1: cannot open shared object file: No such file" >&2; exit 127`;

test("says which library the packed Node lacks, and not that there is no Node for this machine", () => {
  packed("node_modules", LACKS);
  const found: unknown = findNode(root, "20.19.0");
  expect(found).toMatchObject({ lacksLibrary: "libatomic.so.1" });
  expect(found).toHaveProperty(
    "why",
    expect.stringMatching(
      /^Node 20\.19\.0 is too old, and the one that comes .*libatomic.*: install Node 24\.12 or later\.$/,
    ),
  );
});

test("takes the older Node where the packed one cannot run", () => {
  packed("node_modules", LACKS);
  const older = packed("deploy/older-node/node_modules", "echo v24.21.0");
  expect(findNode(root, "20.19.0")).toEqual({ node: older });
});

test("takes its own where it is new enough, and the packed one where that is better", () => {
  expect(findNode(root, "24.12.0")).toEqual({ node: process.execPath });
  const path = packed("node_modules", "echo v26.10.0");
  expect(findNode(root, "24.12.0")).toEqual({ node: path });
  expect(findNode(root, "26.0.0")).toEqual({ node: process.execPath });
});

test("says that there is none for this machine where none was installed", () => {
  expect(findNode(root, "20.19.0")).toEqual({
    lacksLibrary: undefined,
    why: `Node 20.19.0 is too old, and the npm registry has none for ${process.platform} on ${process.arch}: install Node 24.12 or later.`,
  });
});
