import { execFileSync } from "node:child_process";
import { X509Certificate } from "node:crypto";
import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { expect, test } from "vitest";
import { parse } from "yaml";
import { loadConfig } from "#src/config/load-config.ts";
import { testDirectory } from "#src/testing-directory.ts";

const read = (path: string) => readFileSync(new URL(path, import.meta.url), "utf8");
const compose = parse(read("compose.yaml"), { merge: true });
const dockerfile = read("../../Dockerfile");
const CITIES = ["berlin", "lyon", "warsaw"];

/** What the image sets for all. */
const ofImage = Object.fromEntries(
  [...dockerfile.matchAll(/\b(ARCHIPEL_\w+)=(\S+)/g)].map(([, name = "", value = ""]) => [
    name,
    value,
  ]),
);

function issueCertificates(): string {
  const directory = testDirectory();
  const [program, , ...hosts] = compose.services.authority.command;
  const script = new URL("issue-certificates.ts", import.meta.url).pathname;
  expect(program).toBe(`/app/${script.slice(script.indexOf("deploy/"))}`);
  const run = () =>
    execFileSync(process.execPath, [script, directory, ...hosts], { encoding: "utf8" });
  expect(run()).toContain("Made certificates");
  expect(run()).toContain("All certificates are there");
  return directory;
}

test("each subsidiary's variables are a configuration, with a certificate of its name", () => {
  const directory = issueCertificates();
  for (const city of CITIES) {
    const { environment, volumes, networks } = compose.services[city];
    const host = `${city}.test`;
    // Its own part alone of what the authority has made.
    expect(volumes[1]).toMatchObject({
      source: "certificates",
      read_only: true,
      volume: { subpath: host },
    });
    const here = Object.entries<string>({ ...ofImage, ...environment }).map(([name, value]) => [
      name,
      value.replace(/^\/tls\//, `${join(directory, host)}/`),
    ]);
    const config = loadConfig({ ARCHIPEL_CONFIG: "/dev/null", ...Object.fromEntries(here) }, []);
    expect(config.serverName).toBe(host);
    expect(config.dataDir).toBe(volumes[0].split(":")[1]);
    expect(config.federation.partners).toContain(host);
    expect(networks.between.aliases).toEqual([host]);
    const { certFile } = config.tlsListener ?? { certFile: "" };
    expect(new X509Certificate(readFileSync(certFile)).checkHost(host)).toBe(host);
  }
});

test("subsidiaries share nothing but the network in which they meet", () => {
  expect(compose.networks.between.internal).toBe(true);
  for (const city of CITIES) {
    const { networks, volumes, ports, environment } = compose.services[city];
    expect(Object.keys(networks)).toEqual([city, "between"]);
    expect(volumes[0]).toBe(`${city}:/data`);
    // Clients on this machine alone, where the server says they are.
    expect(ports).toHaveLength(1);
    const [address, port, inside] = ports[0].split(":");
    expect([address, inside]).toEqual(["127.0.0.1", "8008"]);
    expect(environment.ARCHIPEL_PUBLIC_BASE_URL).toBe(`http://localhost:${port}`);
  }
  const [{ subnet }] = compose.networks.between.ipam.config;
  const { ARCHIPEL_FEDERATION_ALLOWED_ADDRESS_RANGES: reached } =
    compose.services.berlin.environment;
  expect(reached).toBe(subnet);
  expect(Object.keys(compose.volumes).toSorted()).toEqual(["certificates", ...CITIES].toSorted());
});

test("the image is built of what is there, and does not run as root", () => {
  const root = new URL("../../../", import.meta.url);
  for (const [, sources = ""] of dockerfile.matchAll(/^COPY (?!--from)(.+) \S+$/gm)) {
    for (const source of sources.split(" ")) {
      expect(existsSync(new URL(source, root)), source).toBe(true);
    }
  }
  const last = dockerfile.slice(dockerfile.lastIndexOf("\nFROM "));
  expect(/^USER (\S+)$/m.exec(last)?.[1]).toBe("node");
  expect(last).toMatch(/^HEALTHCHECK /m);
});
