import { Counter } from "prom-client";
import { expect, test } from "vitest";
import { measureProcess, registry, serveMetrics } from "./metrics.ts";

test("the listener serves what was counted and the process's own figures, and nothing else", async () => {
  measureProcess();
  const count = new Counter({ name: "archipel_test_total", help: "x", registers: [registry] });
  count.inc(3);
  const listener = await serveMetrics({ host: "127.0.0.1", port: 0 });
  const at = `http://127.0.0.1:${listener.port}`;

  const text = await (await fetch(`${at}/metrics`)).text();
  expect(text).toContain("archipel_test_total 3");
  expect(text).toMatch(/nodejs_eventloop_lag_p99_seconds [\d.e-]+/);
  expect((await fetch(`${at}/`)).status).toBe(404);
  expect((await fetch(`${at}/metrics`, { method: "POST" })).status).toBe(404);

  await listener.close();
  await expect(fetch(`${at}/metrics`)).rejects.toThrow(/fetch failed/);
});
