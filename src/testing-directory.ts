import { mkdtempSync } from "node:fs";
import { join } from "node:path";

/** Set by `spec-tests/global-setup.ts`: what is in it goes when the run ends. */
const DIRECTORY = "ARCHIPEL_TEST_DIRECTORY";

/** A new directory for files that a test needs. Nobody has to remove it. */
export function testDirectory(): string {
  const parent = process.env[DIRECTORY];
  if (parent === undefined) throw new Error("Tests have a directory: run them with vitest.");
  return mkdtempSync(join(parent, "files-"));
}
