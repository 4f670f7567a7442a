import { execFileSync } from "node:child_process";
import { existsSync, readFileSync } from "node:fs";
import { expect, test } from "vitest";

/** Every folder, and those of `src`, as git has them: `bench`, `src/rooms`. */
function foldersThere(): Set<string> {
  const files = execFileSync("git", ["ls-files"], { encoding: "utf8" });
  const folders = files
    .split("\n")
    .filter((file) => file.includes("/"))
    .map((file) => file.split("/").slice(0, file.startsWith("src/") ? 2 : 1));
  // Neither a file of `src` itself nor a folder like `.ci` is drawn.
  return new Set(folders.map((parts) => parts.join("/")).filter((path) => !path.includes(".")));
}

/** Every folder that the tree in ARCHITECTURE.md names, in the same form. */
function foldersDrawn(): Set<string> {
  const text = readFileSync("ARCHITECTURE.md", "utf8");
  const tree = /```\n(schema\/[\s\S]*?)```/.exec(text)?.[1] ?? "";
  return new Set(
    tree.split("\n").flatMap((line) => {
      // What a line draws ends where its explanation begins, two spaces on.
      const drawn = line.trim().split(/ {2,}/)[0] ?? "";
      const names = [...drawn.matchAll(/([a-z-]+)\//g)].map(([, name]) => name ?? "");
      return line.startsWith(" ") ? names.map((name) => `src/${name}`) : names;
    }),
  );
}

test.skipIf(!existsSync("ARCHITECTURE.md") || !existsSync(".git"))(
  "ARCHITECTURE.md draws the folders that are there",
  () => {
    const drawn = foldersDrawn();
    drawn.delete("src");
    expect([...foldersThere()].filter((folder) => !drawn.has(folder))).toEqual([]);
    expect([...drawn].filter((folder) => !foldersThere().has(folder))).toEqual([]);
  },
);
