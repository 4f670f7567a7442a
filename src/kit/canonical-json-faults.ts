import { isRawLiteral, type RawLiteral } from "./raw-literal.ts";

/**
 * How deep a value may nest. The specification sets no limit; the encoders are recursive, and an
 * event of 64 KiB could nest 32,768 deep, which no stack survives.
 */
export const MAX_NESTING = 500;

/** The text of a number or of a raw literal; undefined if there is none. */
export type NumberEncoder = (value: number | RawLiteral) => string | undefined;

/**
 * The first thing in a value that has no Canonical JSON, if there is one: why, and `path` then leads
 * to it. Only looked for once an encoder has given up.
 */
export function findFault(
  value: unknown,
  numbers: NumberEncoder,
  path: string[],
): string | undefined {
  if (typeof value !== "object" || value === null || isRawLiteral(value)) {
    return faultOfLeaf(value, numbers);
  }
  if (path.length >= MAX_NESTING) return "nested too deeply";
  // The copy of an array has undefined where the array has a hole.
  for (const [key, item] of Object.entries(Array.isArray(value) ? [...value] : value)) {
    if (!key.isWellFormed()) return "lone surrogate in a key";
    path.push(key);
    const fault = findFault(item, numbers, path);
    if (fault) return fault;
    path.pop();
  }
  return undefined;
}

function faultOfLeaf(value: unknown, numbers: NumberEncoder): string | undefined {
  if (typeof value === "string") return value.isWellFormed() ? undefined : "lone surrogate";
  if (value === null || typeof value === "boolean") return undefined;
  if (typeof value === "number" || isRawLiteral(value)) {
    return numbers(value) === undefined ? "not an integer in range" : undefined;
  }
  return `a ${typeof value} is not JSON`;
}
