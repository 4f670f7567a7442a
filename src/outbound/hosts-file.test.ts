import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import pino from "pino";
import { afterAll, expect, test } from "vitest";
import { openHostsFile, parseHosts } from "./hosts-file.ts";

const home = mkdtempSync(join(tmpdir(), "archipel-hosts-"));
afterAll(() => rmSync(home, { recursive: true }));
const log = pino({ level: "silent" });

test("reads names, aliases and several addresses, and passes over what is none", () => {
  const names = parseHosts(
    "# all\n127.0.0.2\ths1.test  HS1 # ours\n\n::1 hs1.test\nnonsense hs2\n10.0.0.1\n127.0.0.2 hs1.test\r\n",
  );
  expect([...names]).toEqual([
    ["hs1.test", ["127.0.0.2", "::1"]],
    ["hs1", ["127.0.0.2"]],
  ]);
});

test("finds names in whatever case", async () => {
  const path = join(home, "case");
  writeFileSync(path, "127.0.0.2 Hs1.Test\n");
  const hosts = openHostsFile(path, log, Date.now);
  expect(await hosts.addressesOf("hS1.tEST")).toEqual(["127.0.0.2"]);
});

test("reads the file again when it has changed, and when it is gone", async () => {
  const path = join(home, "hosts");
  let now = 0;
  const hosts = openHostsFile(path, log, () => now);
  expect(await hosts.addressesOf("hs1")).toBeUndefined();
  writeFileSync(path, "127.0.0.2 hs1\n");
  expect(await hosts.addressesOf("hs1")).toBeUndefined();
  now += 1_000;
  expect(await hosts.addressesOf("hs1")).toEqual(["127.0.0.2"]);
  writeFileSync(path, "127.0.0.22 hs1\n");
  now += 1_000;
  expect(await hosts.addressesOf("hs1")).toEqual(["127.0.0.22"]);
  rmSync(path);
  now += 1_000;
  expect(await hosts.addressesOf("hs1")).toBeUndefined();
});
