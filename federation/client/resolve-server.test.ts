import { describe, expect, test } from "vitest";
import { parseServerNameParts } from "./parse-server-name.ts";
import { type Discovery, resolveServerName } from "./resolve-server.ts";

/** A world in which hosts delegate so, and DNS knows these services. */
type World = {
  readonly wellKnown?: Readonly<Record<string, string>>;
  /** `undefined` is DNS without an answer. */
  readonly services?: Readonly<Record<string, readonly [host: string, port: number][] | undefined>>;
  readonly hostsFile?: readonly string[];
};

function discoveryOf(world: World): Discovery & { readonly asked: string[] } {
  const asked: string[] = [];
  return {
    asked,
    async delegationOf(host) {
      asked.push(`well-known ${host}`);
      const name = world.wellKnown?.[host];
      const parts = name === undefined ? undefined : parseServerNameParts(name);
      return parts && name !== undefined ? { ...parts, name } : undefined;
    },
    async hostsOfService(name) {
      asked.push(`SRV ${name}`);
      const { services = {} } = world;
      if (name in services && services[name] === undefined) throw new Error("no answer");
      return services[name]?.map(([host, port]) => ({ host, port }));
    },
    isInHostsFile: async (host) => world.hostsFile?.includes(host) ?? false,
  };
}

/** As `host:port, certificate, Host header`. */
async function placesOf(name: string, world: World = {}): Promise<string[]> {
  const places = await resolveServerName(name, discoveryOf(world));
  return places.map((it) => `${it.host}:${it.port}, ${it.certificateName}, ${it.hostHeader}`);
}

// prettier-ignore
const cases: [step: string, name: string, world: World, places: string[]][] = [
  ["1: an address", "1.2.3.4", {}, ["1.2.3.4:8448, 1.2.3.4, 1.2.3.4"]],
  ["1: an address with a port", "1.2.3.4:5", {}, ["1.2.3.4:5, 1.2.3.4, 1.2.3.4:5"]],
  ["1: an address of IPv6", "[2606::1]", {}, ["2606::1:8448, 2606::1, [2606::1]"]],
  ["1: an address of IPv6 with a port", "[2606::1]:5", {}, ["2606::1:5, 2606::1, [2606::1]:5"]],
  ["2: a port", "a.test:443", { wellKnown: { "a.test": "b.test" } }, ["a.test:443, a.test, a.test:443"]],
  ["3.1: to an address", "a.test", { wellKnown: { "a.test": "1.2.3.4" } }, ["1.2.3.4:8448, 1.2.3.4, 1.2.3.4"]],
  ["3.1: to an address with a port", "a.test", { wellKnown: { "a.test": "[2606::1]:5" } }, ["2606::1:5, 2606::1, [2606::1]:5"]],
  ["3.2: to a port", "a.test", { wellKnown: { "a.test": "b.test:5" } }, ["b.test:5, b.test, b.test:5"]],
  ["3.3: to a service", "a.test", { wellKnown: { "a.test": "b.test" }, services: { "_matrix-fed._tcp.b.test": [["c.test", 5], ["d.test", 6]], "_matrix._tcp.b.test": [["x.test", 7]] } }, ["c.test:5, b.test, b.test", "d.test:6, b.test, b.test"]],
  ["3.4: to a service as it was named", "a.test", { wellKnown: { "a.test": "b.test" }, services: { "_matrix._tcp.b.test": [["c.test", 5]] } }, ["c.test:5, b.test, b.test"]],
  ["3.5: to a host", "a.test", { wellKnown: { "a.test": "b.test" } }, ["b.test:8448, b.test, b.test"]],
  ["4: a service", "a.test", { services: { "_matrix-fed._tcp.a.test": [["c.test", 5]], "_matrix._tcp.a.test": [["x.test", 7]] } }, ["c.test:5, a.test, a.test"]],
  ["5: a service as it was named", "a.test", { services: { "_matrix._tcp.a.test": [["c.test", 5]] } }, ["c.test:5, a.test, a.test"]],
  ["6: nothing", "a.test", {}, ["a.test:8448, a.test, a.test"]],
];

test.each(cases)("step %s: %s", async (_step, name, world, places) => {
  expect(await placesOf(name, world)).toEqual(places);
});

describe("asks", () => {
  test("nobody about an address, or a name with a port", async () => {
    for (const name of ["1.2.3.4", "[2606::1]:5", "a.test:5"]) {
      const discovery = discoveryOf({});
      await resolveServerName(name, discovery);
      expect(discovery.asked).toEqual([]);
    }
  });

  test("in the order of the steps, and no further than it must", async () => {
    const discovery = discoveryOf({});
    await resolveServerName("a.test", discovery);
    expect(discovery.asked).toEqual([
      "well-known a.test",
      "SRV _matrix-fed._tcp.a.test",
      "SRV _matrix._tcp.a.test",
    ]);
  });

  test("DNS nothing about a host that a hosts file has", async () => {
    const discovery = discoveryOf({ hostsFile: ["a.test"] });
    const places = await resolveServerName("a.test", discovery);
    expect(discovery.asked).toEqual(["well-known a.test"]);
    expect(places.map((it) => it.port)).toEqual([8448]);
  });
});

test("goes on to the host itself where DNS does not answer about services", async () => {
  const silent = { "_matrix-fed._tcp.a.test": undefined, "_matrix._tcp.a.test": undefined };
  expect(await placesOf("a.test", { services: silent })).toEqual(["a.test:8448, a.test, a.test"]);
});

test("looks for a server in few of very many places", async () => {
  const many = Array.from({ length: 1_000 }, (_, index): [string, number] => ["b.test", index]);
  const places = await placesOf("a.test", { services: { "_matrix-fed._tcp.a.test": many } });
  expect(places).toHaveLength(8);
  expect(places[0]).toBe("b.test:0, a.test, a.test");
});

test("finds no server where the domain says that there is none", async () => {
  await expect(placesOf("a.test", { services: { "_matrix-fed._tcp.a.test": [] } })).rejects.toThrow(
    /no server/,
  );
});

test.each([
  "",
  "a b",
  "a.test:",
  "a.test:0",
  "a.test:65536",
  "a.test:5:6",
  "[::1",
  "[x]",
  "a/b",
  "a.test#",
])("finds nothing by %j, which is no server name", async (name) => {
  await expect(placesOf(name)).rejects.toThrow(/server name/);
});
