import { globSync, readFileSync } from "node:fs";
import { describe, expect, test } from "vitest";

/** Every section that the specification (v1.19) has, as `page#anchor`. */
const ANCHORS = new Set<string>(
  JSON.parse(readFileSync(new URL("anchors.json", import.meta.url), "utf8")),
);

const REFERENCE = /@spec (?<target>[\w./-]+(?:#[\w-]+(?:\.[\w-]+)*)?)/g;

const files = globSync("{src,federation,schema,spec-tests}/**/*.ts");

const references = files.flatMap((file) =>
  [...readFileSync(file, "utf8").matchAll(REFERENCE)].map((match) => ({
    file,
    target: match.groups?.["target"] ?? "",
  })),
);

describe("references to the specification", () => {
  test("are found at all", () => {
    expect(references.length).toBeGreaterThan(20);
  });

  test("lead to a section of it, each of them", () => {
    const lost = references.filter(({ target }) => !ANCHORS.has(target));
    expect(lost.map(({ file, target }) => `${file}: ${target}`)).toEqual([]);
  });
});
