import * as fc from "fast-check";
import { describe, expect, test } from "vitest";
import { matchesGlob, matchesGlobInWords, matchesStars } from "./glob.ts";

const literal = (text: string) => text.replaceAll(/[\\^$.*+?()[\]{}|]/g, "\\$&");

/** What a regular expression says: right, and too slow for patterns from outside. */
function byRegExp(glob: string, text: string): boolean {
  const source = Array.from(glob, (it) => (it === "*" ? ".*" : it === "?" ? "." : literal(it)));
  return new RegExp(`^${source.join("")}$`, "su").test(text);
}

function inWordsByRegExp(glob: string, text: string): boolean {
  const source = Array.from(glob, (it) => (it === "*" ? ".*" : it === "?" ? "." : literal(it)));
  const edge = String.raw`(?:^|$|(?<!\w)|(?!\w))`;
  return new RegExp(`${edge}${source.join("")}${edge}`, "s").test(text);
}

describe("globs", () => {
  const globs = fc.string({ unit: fc.constantFrom("a", "b", "*", "?", ".", "😀") });
  const texts = fc.string({ unit: fc.constantFrom("a", "b", ".", " ", "😀") });

  test("match what the regular expression of the same meaning matches", () => {
    fc.assert(
      fc.property(globs, texts, (glob, text) => {
        expect(matchesGlob(glob, text)).toBe(byRegExp(glob, text));
      }),
    );
  });

  test("match in words what the regular expression of the same meaning matches", () => {
    const ascii = fc.string({ unit: fc.constantFrom("a", "b", " ", "-", "_") });
    const asciiGlobs = fc.string({ unit: fc.constantFrom("a", "b", "*", "?", "-") });
    fc.assert(
      fc.property(asciiGlobs, ascii, (glob, text) => {
        expect(matchesGlobInWords(glob, text)).toBe(inWordsByRegExp(glob, text));
      }),
    );
  });

  test("take a pattern of many stars on a long text in their stride", () => {
    const begun = performance.now();
    expect(matchesGlob(`${"*a".repeat(1_000)}*b`, "a".repeat(60_000))).toBe(false);
    expect(performance.now() - begun).toBeLessThan(2_000);
  });

  test("look for many words in a long text in their stride", () => {
    const begun = performance.now();
    const text = "a ".repeat(30_000);
    for (let index = 0; index < 2_000; index++) {
      expect(matchesGlobInWords(`zz${index}`, text)).toBe(false);
    }
    expect(performance.now() - begun).toBeLessThan(4_000);
  });

  test("take characters outside the first plane as one", () => {
    expect(matchesGlob("a?b", "a😀b")).toBe(true);
    expect(matchesGlob("a??b", "a😀b")).toBe(false);
    expect(matchesGlobInWords("?", "😀")).toBe(true);
  });

  test.each([
    ["ex*ple", "An example event.", true],
    ["ex*ple", "exple", true],
    ["ex*ple", "An exciting triple-whammy", true],
    ["cake", "cupcake", false],
    ["@room", "hey @room!", true],
  ])("%s in the words of %j: %s", (glob, text, expected) => {
    expect(matchesGlobInWords(glob, text)).toBe(expected);
  });

  test("of stars alone leave a question mark as it is", () => {
    expect(matchesStars("m.*?", "m.a?")).toBe(true);
    expect(matchesStars("m.*?", "m.ab")).toBe(false);
  });
});
