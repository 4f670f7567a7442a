import { globSync, readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { expect, test } from "vitest";

const root = fileURLToPath(new URL("../../", import.meta.url));

test("the operators' manual tells of every metric, and of none that there is not", () => {
  const sources = globSync(`${root}{src,federation}/**/*.ts`).filter(
    (it) => !it.includes(".test."),
  );
  const made = sources.flatMap((file) => namesIn(file, /name: "(archipel_\w+)"/g));
  const manual = `${root}docs/operators/troubleshooting.md`;
  const told = namesIn(manual, /\b(archipel_[a-z_]+?)(?:_count)?\b(?![a-z_])/g);
  expect(made.length).toBeGreaterThan(20);
  expect([...new Set(told)].toSorted()).toEqual([...new Set(made)].toSorted());
});

function namesIn(file: string, pattern: RegExp): string[] {
  return [...readFileSync(file, "utf8").matchAll(pattern)].map(([, name = ""]) => name);
}
