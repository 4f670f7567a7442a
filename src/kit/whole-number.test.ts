import { describe, expect, it } from "vitest";
import { wholeNumber } from "./whole-number.ts";

describe("wholeNumber", () => {
  const of = (text: string) => wholeNumber(new URLSearchParams({ limit: text }), "limit");

  it("takes the greatest number of every language", () => {
    expect(of("0")).toBe(0);
    expect(of("2147483647")).toBe(2_147_483_647);
    expect(of("9007199254740991")).toBe(Number.MAX_SAFE_INTEGER);
    expect(of("9223372036854775807")).toBe(Number.MAX_SAFE_INTEGER);
    expect(of("9".repeat(1000))).toBe(Number.MAX_SAFE_INTEGER);
  });

  it("refuses what is no whole number", () => {
    for (const text of ["", "-1", "1.5", "1e3", "x", " 1", "٣"]) {
      expect(() => of(text), text).toThrow("limit must be a whole number");
    }
  });

  it("finds none where there is none", () => {
    expect(wholeNumber(new URLSearchParams(), "limit")).toBeUndefined();
  });
});
