import { spawn } from "node:child_process";
import { once } from "node:events";
import { describe, expect, test } from "vitest";
import { cpuBetween, type ProcessTime, treeUsage } from "./process-tree.ts";

/** A shell that has a child burn CPU and end, then says so and waits. */
const SCRIPT = `read start; sh -c 'i=0; while [ $i -lt 200000 ]; do i=$((i+1)); done'; echo done; read end`;

describe.skipIf(process.platform !== "linux")("the CPU time of a tree of processes", () => {
  test("includes children that have ended in between", async () => {
    const child = spawn("sh", ["-c", SCRIPT], { stdio: ["pipe", "pipe", "ignore"] });
    const pid = child.pid ?? 0;
    const before = treeUsage(pid).times;
    child.stdin.write("\n");
    await once(child.stdout, "data");
    expect(cpuBetween(before, treeUsage(pid).times)).toBeGreaterThan(40);
    expect(treeUsage(pid).rssBytes).toBeGreaterThan(100_000);
    child.stdin.end();
    await once(child, "exit");
    expect(() => treeUsage(pid)).toThrow(/has ended/);
  });
});

test("what a process had used before the first look is not counted when it ends", () => {
  const before = new Map([
    [1, time(10, 12, 0)],
    [2, time(500, 504, 0)],
  ]);
  const after = new Map([[1, time(10, 13, 520)]]);
  expect(cpuBetween(before, after)).toBeCloseTo(1 + 520 - 504);
});

test("threads that have ended are counted by the coarse clock", () => {
  expect(cpuBetween(new Map([[1, time(0, 0, 0)]]), new Map([[1, time(300, 20, 0)]]))).toBe(300);
  expect(cpuBetween(new Map([[1, time(90, 20, 0)]]), new Map([[1, time(100, 35, 0)]]))).toBe(15);
});

function time(ticksMs: number, threadsMs: number, endedMs: number): ProcessTime {
  return { ticksMs, threadsMs, endedMs };
}
