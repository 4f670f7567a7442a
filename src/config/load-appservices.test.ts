import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, expect, test } from "vitest";
import { ConfigError, loadConfig } from "./load-config.ts";
import { isNamespacePattern, namespaceOf } from "./namespace.ts";

const home = mkdtempSync(join(tmpdir(), "archipel-registrations-"));
afterAll(() => rmSync(home, { recursive: true }));

const GOOD = {
  id: "irc",
  url: "http://127.0.0.1:9999/",
  as_token: "as",
  hs_token: "hs",
  sender_localpart: "ircbot",
  namespaces: { users: [{ exclusive: true, regex: "@irc_.*" }] },
  "org.example.further": true,
};

function file(name: string, text: string): string {
  writeFileSync(join(home, name), text);
  return join(home, name);
}

const load = (files: readonly string[], further: Record<string, string> = {}) =>
  loadConfig({ ARCHIPEL_APPSERVICES_FILES: JSON.stringify(files), ...further }, []);

function faultsOf(files: readonly string[], further: Record<string, string> = {}) {
  try {
    load(files, further);
  } catch (error) {
    if (!(error instanceof ConfigError)) throw error;
    return error.faults.map((it) => it.replaceAll(`${home}/`, ""));
  }
  return [];
}

test("a registration file is read, with what it leaves out", () => {
  const [irc] = load([file("irc.yaml", JSON.stringify(GOOD))]).appservices;
  expect(irc).toMatchObject({
    id: "irc",
    url: "http://127.0.0.1:9999",
    isRateLimited: true,
    receivesEphemeral: false,
    aliases: [],
    rooms: [],
  });
  expect(irc?.users.map((it) => it.includes("@irc_anne:test"))).toEqual([true]);
});

test("the older names of what a bridge wants to hear of are read", () => {
  const older = { "de.sorunome.msc2409.push_ephemeral": true, "org.matrix.msc3202": true };
  const [it] = load([file("old.yaml", JSON.stringify({ ...GOOD, ...older }))]).appservices;
  expect(it).toMatchObject({ receivesEphemeral: true, receivesKeyNews: true });
});

test("all faults of all files are said at once, with those of the configuration", () => {
  const bad = { ...GOOD, url: "ftp://x", as_token: "", namespaces: { users: [{ regex: "(" }] } };
  const faults = faultsOf(
    [
      file("bad.yaml", JSON.stringify(bad)),
      file("broken.yaml", "id: [\n"),
      file("a.yaml", JSON.stringify(GOOD)),
      file("b.yaml", JSON.stringify({ ...GOOD, sender_localpart: "other" })),
      join(home, "absent.yaml"),
    ],
    { ARCHIPEL_LISTENER_PORT: "-1" },
  );
  const text = faults.join("\n");
  for (const part of [
    "listener.port",
    "bad.yaml: url:",
    "bad.yaml: as_token:",
    "bad.yaml: namespaces.users.0.exclusive:",
    "bad.yaml: namespaces.users.0.regex:",
    "broken.yaml:",
    "b.yaml: id: the application service irc has the same",
    "b.yaml: as_token: the application service irc has the same",
    "absent.yaml",
  ]) {
    expect(text).toContain(part);
  }
  expect(text).not.toContain("sender_localpart");
});

test("namespaces match from the beginning, and in linear time", () => {
  const evil = namespaceOf({ exclusive: true, regex: "@(a+)+b" });
  const begun = performance.now();
  expect(evil.includes(`@${"a".repeat(200)}`)).toBe(false);
  expect(performance.now() - begun).toBeLessThan(5_000);
  const irc = namespaceOf({ exclusive: true, regex: "@irc_.*:test" });
  expect(irc.includes("@irc_x:test")).toBe(true);
  expect(irc.includes("x@irc_x:test")).toBe(false);
  expect(isNamespacePattern("@(?=a)b")).toBe(false);
});
