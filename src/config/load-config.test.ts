import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, expect, test } from "vitest";
import { CONFIG_KEYS } from "./config-keys.ts";
import { ConfigError, loadConfig } from "./load-config.ts";

const home = mkdtempSync(join(tmpdir(), "archipel-config-"));
afterAll(() => rmSync(home, { recursive: true }));

function file(text: string, name = "config.yaml"): string {
  writeFileSync(join(home, name), text);
  return join(home, name);
}

function faultsOf(env: NodeJS.ProcessEnv, argv: string[] = []): readonly string[] {
  try {
    loadConfig(env, argv);
  } catch (error) {
    if (error instanceof ConfigError) return error.faults;
    throw error;
  }
  return [];
}

test("no file is needed", () => {
  const config = loadConfig({}, []);
  expect(config.serverName).toBe("localhost");
  expect(config.publicBaseUrl).toBe("http://localhost:8008");
  expect(config.media.directory).toBe("data/media");
  expect(config.rooms.defaultVersion).toBe("12");
});

test("the environment goes before the file, and the file before the defaults", () => {
  const config = loadConfig(
    { ARCHIPEL_LISTENER_PORT: "8100", ARCHIPEL_ROOMS_DEFAULT_VERSION: "11" },
    ["--config", file("serverName: hs1.test\nlistener:\n  port: 8200\n  host: '::1'\n")],
  );
  expect(config.listener).toMatchObject({ port: 8100, host: "::1" });
  expect(config.rooms.defaultVersion).toBe("11");
  expect(config.publicBaseUrl).toBe("https://hs1.test");
});

test("a section that is null is made by a variable for a key in it", () => {
  const config = loadConfig(
    {
      ARCHIPEL_SUPPORT_PAGE: "https://help.test",
      ARCHIPEL_CONFIG: file("support: null\n"),
    },
    [],
  );
  expect(config.support.page).toBe("https://help.test");
  const nothing = { ARCHIPEL_LISTENER_PORT: "8100", ARCHIPEL_CONFIG: file("null\n") };
  expect(loadConfig(nothing, []).listener.port).toBe(8100);
});

test("a section whose keys are all commented out sets nothing", () => {
  const config = loadConfig({}, [
    "--config",
    file("listener:\n  # port: 1\nrateLimits:\n  login:\n"),
  ]);
  expect(config.listener.port).toBe(8008);
  expect(config.rateLimits.login.burst).toBe(10);
});

test("the variable of a key that may be null can make it so", () => {
  const config = loadConfig(
    { ARCHIPEL_REGISTRATION_SHARED_SECRET: "null", ARCHIPEL_SERVER_NAME: "null" },
    ["--config", file("registration:\n  sharedSecret: x\n")],
  );
  expect(config.registration.sharedSecret).toBe(null);
  expect(config.serverName).toBe("null");
});

test("variables that Kubernetes makes for a service of our name are none of ours", () => {
  const links = {
    ARCHIPEL_SERVICE_HOST: "10.0.0.1",
    ARCHIPEL_SERVICE_PORT_HTTP: "8008",
    ARCHIPEL_PORT: "tcp://10.0.0.1:8008",
    ARCHIPEL_PORT_8008_TCP: "tcp://10.0.0.1:8008",
    ARCHIPEL_PORT_8008_TCP_ADDR: "10.0.0.1",
  };
  expect(loadConfig(links, []).listener.port).toBe(8008);
});

test("files that TLS needs are looked at before anything starts", () => {
  const pem = file("no certificate", "cert.pem");
  const faults = faultsOf({
    ARCHIPEL_FEDERATION_CA_FILE: join(home, "absent"),
    ARCHIPEL_TLS_LISTENER_CERT_FILE: pem,
    ARCHIPEL_TLS_LISTENER_KEY_FILE: join(home, "absent"),
  });
  expect(faults).toHaveLength(2);
  expect(faults[0]).toMatch(/^federation\.caFile: ENOENT/);
  expect(faults[1]).toMatch(/^tlsListener\.keyFile: ENOENT/);
  const both = { ARCHIPEL_TLS_LISTENER_CERT_FILE: pem, ARCHIPEL_TLS_LISTENER_KEY_FILE: pem };
  expect(faultsOf(both)).toEqual([expect.stringMatching(/^tlsListener: no TLS with certFile/)]);
});

test.each([
  ["an alias that leads nowhere", "rooms: *absent\n", /: Unresolved alias/],
  [
    "aliases that stand for too much",
    [
      "a: &a [x, x, x, x, x, x, x, x, x]",
      ..."bcdefgh".split("").map((it, at) => {
        const before = `*${"abcdefg"[at]}`;
        return `${it}: &${it} [${Array.from({ length: 9 }, () => before).join(", ")}]`;
      }),
    ].join("\n"),
    /: Excessive alias count/,
  ],
])("%s is a fault", (_what, text, fault) => {
  expect(faultsOf({}, ["--config", file(text)])).toEqual([expect.stringMatching(fault)]);
});

test("a server name has the specification's form", () => {
  for (const serverName of ["a:b:c", "exa_mple.org", "https://example.org", ""]) {
    expect(faultsOf({}, ["--config", file(`serverName: "${serverName}"\n`)])).toHaveLength(1);
  }
});

test("variables hold numbers, booleans, lists and text", () => {
  const config = loadConfig(
    {
      ARCHIPEL_RATE_LIMITS_ENABLED: "false",
      ARCHIPEL_RATE_LIMITS_LOGIN_PER_SECOND: "0.5",
      ARCHIPEL_FEDERATION_ALLOWED_ADDRESS_RANGES: "10.0.0.0/8, fd00::/8",
      ARCHIPEL_FEDERATION_TRUSTED_KEY_SERVERS: "[a.test, b.test]",
      ARCHIPEL_REGISTRATION_SHARED_SECRET: "0123",
    },
    [],
  );
  expect(config.rateLimits).toMatchObject({ enabled: false, login: { perSecond: 0.5 } });
  expect(config.federation.allowedAddressRanges).toEqual(["10.0.0.0/8", "fd00::/8"]);
  expect(config.federation.trustedKeyServers).toEqual(["a.test", "b.test"]);
  expect(config.registration.sharedSecret).toBe("0123");
});

test("every fault is named at once, with its path and where it comes from", () => {
  const faults = faultsOf(
    {
      ARCHIPEL_LOG_LEVEL: "loud",
      ARCHIPEL_LISTNER_PORT: "1",
      ARCHIPEL_DATABASE_URL: "mysql://x",
      ARCHIPEL_REGISTRATION_SHARED_SECRET_FILE: join(home, "absent"),
    },
    ["--config", file("metrics:\n  port: 70000\nmedia:\n  maxUploadSize: 1\nrooms: 12\n")],
  );
  const all = faults.join("\n");
  expect(all).toMatch(/^log\.level \(ARCHIPEL_LOG_LEVEL\): /m);
  expect(all).toMatch(/^ARCHIPEL_LISTNER_PORT: there is no such key/m);
  expect(all).toMatch(/^database\.url \(ARCHIPEL_DATABASE_URL\): /m);
  expect(all).toMatch(/^registration\.sharedSecretFile: ENOENT/m);
  expect(all).toMatch(/^metrics\.port: /m);
  expect(all).toMatch(/^media\.maxUploadSize: there is no such key$/m);
  expect(all).toMatch(/^rooms: /m);
  expect(faults).toHaveLength(7);
});

test("a file that is no YAML is refused by place, without quoting it", () => {
  const [fault, ...more] = faultsOf({ ARCHIPEL_CONFIG: file("a: [SECRET\nb: ]") }, []);
  expect(fault).toMatch(/config\.yaml: .* at line 2/);
  expect([fault, ...more].join("\n")).not.toContain("SECRET");
  expect(faultsOf({}, ["--config", join(home, "none.yaml")])[0]).toMatch(/none\.yaml: ENOENT/);
  expect(faultsOf({}, ["--confg", "x"])[0]).toMatch(/^command line: /);
});

test("the built-in database is asked for no more connections than it takes", () => {
  const env = { ARCHIPEL_DATABASE_MAX_CONNECTIONS: "200" };
  expect(faultsOf(env)).toEqual([expect.stringMatching(/^database\.maxConnections .*at most 80/)]);
  expect(faultsOf({ ...env, ARCHIPEL_DATABASE_URL: "postgres://db.test/archipel" })).toEqual([]);
});

test("a password that cannot be read is a fault, and is not printed", () => {
  const faults = faultsOf({ ARCHIPEL_MAIL_SMTP_URL: "smtp://user:100%@mail.test" });
  expect(faults).toEqual([expect.stringMatching(/^mail\.smtpUrl .*%25$/)]);
  const config = loadConfig({ ARCHIPEL_MAIL_SMTP_URL: "smtp://user:100%25@mail.test" }, []);
  expect(config.mail.smtpUrl).toBe("smtp://user:100%25@mail.test");
});

test("a secret that is no text of YAML is not printed", () => {
  const config = file("registration:\n  sharedSecret: *s3cret\n");
  const appservice = file("id: irc\nas_token: *s3cret\n", "irc.yaml");
  const others = file(`appservices: { files: ["${appservice}"] }\n`, "others.yaml");
  for (const faults of [config, others].map((it) => faultsOf({ ARCHIPEL_CONFIG: it }))) {
    expect(faults.join()).toContain("begins with *");
    expect(faults.join()).not.toContain("s3cret");
  }
});

test("TURN servers need the secret that they share, from wherever it comes", () => {
  const env = { ARCHIPEL_CALLS_TURN_URIS: "turn:turn.test" };
  const secret = file("s3cret\n", "turn-secret");
  expect(loadConfig({ ...env, ARCHIPEL_CALLS_TURN_SECRET_FILE: secret }, []).calls).toMatchObject({
    turnUris: ["turn:turn.test"],
    turnSecret: "s3cret",
  });
  expect(faultsOf(env).join()).toContain("calls.turnSecret: TURN servers are of no use");
});

test("a secret may come from a file, but not from two places", () => {
  const secret = file("s3cret\n", "secret");
  const env = { ARCHIPEL_REGISTRATION_SHARED_SECRET_FILE: secret };
  expect(loadConfig(env, []).registration.sharedSecret).toBe("s3cret");
  const both = { ...env, ARCHIPEL_REGISTRATION_SHARED_SECRET: "other" };
  expect(faultsOf(both)).toEqual([
    "registration.sharedSecretFile: registration.sharedSecret is set as well",
  ]);
});

test("each key has its own variable, and words that say what it does", () => {
  expect(new Set(CONFIG_KEYS.map(({ variable }) => variable)).size).toBe(CONFIG_KEYS.length);
  expect(CONFIG_KEYS.filter(({ description }) => description === "")).toEqual([]);
});

test("a listener at all addresses is reached by this machine's name, one at an IPv6 address in brackets", () => {
  const baseUrlAt = (host: string) =>
    loadConfig({ ARCHIPEL_LISTENER_HOST: host }, []).publicBaseUrl;
  expect(baseUrlAt("0.0.0.0")).toBe("http://localhost:8008");
  expect(baseUrlAt("::")).toBe("http://localhost:8008");
  expect(baseUrlAt("::1")).toBe("http://[::1]:8008");
  expect(baseUrlAt("192.0.2.1")).toBe("http://192.0.2.1:8008");
});

test("what would quietly have no effect is a fault", () => {
  const env = {
    ARCHIPEL_PUBLIC_BASE_URL: "https://matrix.test/?a=b",
    ARCHIPEL_FEDERATION_PARTNERS: "https://berlin.test, lyon.test",
    ARCHIPEL_FEDERATION_TRUSTED_KEY_SERVERS: "no name",
    ARCHIPEL_FEDERATION_ALLOWED_ADDRESS_RANGES: "10.0.0.0",
    ARCHIPEL_FEDERATION_CA_FILE: file("no certificate", "ca.pem"),
    ARCHIPEL_MAIL_FROM: "Example <noreply",
  };
  expect(faultsOf(env)).toEqual([
    "federation.caFile: holds no certificate in the form of PEM",
    "publicBaseUrl (ARCHIPEL_PUBLIC_BASE_URL): Paths are added to it: it can have no ? or #",
    "mail.from (ARCHIPEL_MAIL_FROM): Not a sender like noreply@example.org or Example <noreply@example.org>",
    "federation.partners.0 (ARCHIPEL_FEDERATION_PARTNERS): Not a server name",
    "federation.allowedAddressRanges.0 (ARCHIPEL_FEDERATION_ALLOWED_ADDRESS_RANGES): Not a range like 10.0.0.0/8 or fd00::/8",
    "federation.trustedKeyServers.0 (ARCHIPEL_FEDERATION_TRUSTED_KEY_SERVERS): Not a server name",
  ]);
  expect(faultsOf({ ARCHIPEL_MAIL_FROM: "Example <noreply@example.org>" })).toEqual([]);
});
