import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, expect, test } from "vitest";
import { transferFile } from "./testing-memory.ts";

const MIB = 1024 * 1024;

const directory = mkdtempSync(join(tmpdir(), "media-memory-"));
afterAll(() => rmSync(directory, { recursive: true, force: true }));

test("a file of 200 MiB goes up and down without ever being in memory", async () => {
  const { stored, received, growth } = await transferFile({ directory }, 200);
  expect(stored).toBe(200 * MIB);
  expect(received).toBe(200 * MIB);
  expect(growth).toBeLessThan(100 * MIB);
});
