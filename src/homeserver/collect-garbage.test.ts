import { constants, PerformanceObserver } from "node:perf_hooks";
import { expect, test } from "vitest";
import { z } from "zod";
import { noteBuffer } from "./collect-garbage.ts";

const MIB = 1024 * 1024;
const Collected = z.object({ detail: z.object({ kind: z.number(), flags: z.number() }) });

test("the young generation is collected when many buffers have come and gone, and not before", async () => {
  const asked: number[] = [];
  const observer = new PerformanceObserver((list) => {
    for (const entry of list.getEntries()) {
      const { kind, flags } = Collected.parse(entry).detail;
      if ((flags & constants.NODE_PERFORMANCE_GC_FLAGS_FORCED) !== 0) asked.push(kind);
    }
  });
  observer.observe({ entryTypes: ["gc"] });
  for (let mib = 0; mib < 15; mib++) noteBuffer(MIB);
  await new Promise((resolve) => setTimeout(resolve, 20));
  expect(asked).toEqual([]);
  noteBuffer(MIB);
  await expect.poll(() => asked).toEqual([constants.NODE_PERFORMANCE_GC_MINOR]);
  observer.disconnect();
});
