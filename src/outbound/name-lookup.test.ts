import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { parseHosts } from "./hosts-file.ts";
import { inOrder, nameLookup, type NameServer } from "./name-lookup.ts";

/** A DNS that has these records, and remembers what it was asked. */
function dnsOf(
  records: Record<string, string[] | Error>,
  srv: Awaited<ReturnType<NameServer["resolveSrv"]>> = [],
) {
  const asked: string[] = [];
  const answer = async (kind: string, name: string) => {
    asked.push(`${kind} ${name}`);
    const record = records[`${kind} ${name}`] ?? failure("ENODATA");
    if (record instanceof Error) throw record;
    return record;
  };
  return {
    asked,
    resolve4: (name: string) => answer("A", name),
    resolve6: (name: string) => answer("AAAA", name),
    async resolveSrv(name: string) {
      await answer("SRV", name);
      return srv;
    },
  };
}

function failure(code: string): Error {
  return Object.assign(new Error(code), { code });
}

function fileOf(text: string) {
  const names = parseHosts(text);
  return { addressesOf: async (name: string) => names.get(name) };
}

describe("addresses", () => {
  test("come from a hosts file without a question to DNS", async () => {
    const dns = dnsOf({});
    const names = nameLookup([fileOf("127.0.0.2 hs1.test")], dns, Math.random);
    expect(await names.addressesOf("hs1.test")).toEqual(["127.0.0.2"]);
    expect(await names.isInHostsFile("hs1.test")).toBe(true);
    expect(await names.isInHostsFile("hs2.test")).toBe(false);
    expect(dns.asked).toEqual([]);
  });

  test("come from the first file that has the name", async () => {
    const files = [fileOf("127.0.0.2 hs1.test"), fileOf("127.0.0.3 hs1.test\n127.0.0.3 hs2.test")];
    const names = nameLookup(files, dnsOf({}), Math.random);
    expect(await names.addressesOf("hs1.test")).toEqual(["127.0.0.2"]);
    expect(await names.addressesOf("hs2.test")).toEqual(["127.0.0.3"]);
  });

  test("of this machine's own name are never asked for", async () => {
    const dns = dnsOf({});
    const names = nameLookup([], dns, Math.random);
    expect(await names.addressesOf("localhost")).toEqual(["127.0.0.1", "::1"]);
    expect(await names.addressesOf("a.LOCALHOST.")).toEqual(["127.0.0.1", "::1"]);
    expect(dns.asked).toEqual([]);
  });

  test("of both kinds are found, and one kind is enough", async () => {
    const dns = dnsOf({
      "A a.test": ["1.1.1.1"],
      "AAAA a.test": ["2606::1"],
      "A b.test": ["1.1.1.2"],
    });
    const names = nameLookup([], dns, Math.random);
    expect(await names.addressesOf("a.test")).toEqual(["2606::1", "1.1.1.1"]);
    expect(await names.addressesOf("b.test")).toEqual(["1.1.1.2"]);
  });

  test("that are not there are told from a DNS that does not answer", async () => {
    const names = nameLookup([], dnsOf({ "A b.test": failure("ETIMEOUT") }), Math.random);
    await expect(names.addressesOf("a.test")).rejects.toMatchObject({ code: "ENODATA" });
    await expect(names.addressesOf("b.test")).rejects.toMatchObject({ code: "ETIMEOUT" });
  });
});

describe("hosts of a service", () => {
  const record = { name: "a.test", port: 1, priority: 0, weight: 0 };

  test("are undefined if there is no record, and none if there is no service", async () => {
    const there = { "SRV s": [] };
    const without = nameLookup([], dnsOf({}), Math.random);
    expect(await without.hostsOfService("s")).toBeUndefined();
    const denied = nameLookup([], dnsOf(there, [{ ...record, name: "." }]), Math.random);
    expect(await denied.hostsOfService("s")).toEqual([]);
  });

  test("come by priority", async () => {
    const srv = [
      { ...record, name: "c.test", priority: 30 },
      { ...record, name: "a.test", priority: 10 },
      { ...record, name: "b.test", priority: 20 },
    ];
    const names = nameLookup([], dnsOf({ "SRV s": [] }, srv), Math.random);
    expect((await names.hostsOfService("s"))?.map((it) => it.host)).toEqual([
      "a.test",
      "b.test",
      "c.test",
    ]);
  });

  test("are not made up when DNS does not answer", async () => {
    const names = nameLookup([], dnsOf({ "SRV s": failure("ESERVFAIL") }), Math.random);
    await expect(names.hostsOfService("s")).rejects.toMatchObject({ code: "ESERVFAIL" });
  });

  test("are each there once, by priority, whatever chance says", () => {
    const records = fc.array(
      fc.record({
        host: fc.string(),
        port: fc.nat(65_535),
        priority: fc.nat(3),
        weight: fc.nat(100),
      }),
      { maxLength: 12 },
    );
    fc.assert(
      fc.property(
        records,
        fc.infiniteStream(fc.double({ min: 0, max: 0.999, noNaN: true })),
        (all, chance) => {
          const order = inOrder(all, () => chance.next().value ?? 0);
          expect(new Set(order)).toEqual(new Set(all));
          expect(order).toHaveLength(all.length);
          expect(order.map((it) => it.priority)).toEqual(
            all.map((it) => it.priority).toSorted((a, b) => a - b),
          );
        },
      ),
    );
  });

  test("come first as often as they weigh", () => {
    const all = [1, 3].map((weight) => ({ host: String(weight), port: 1, priority: 0, weight }));
    const steps = 1_000;
    const firsts = Array.from(
      { length: steps },
      (_, index) => inOrder(all, () => index / steps)[0],
    );
    const heavy = firsts.filter((it) => it?.weight === 3).length;
    // RFC 2782 draws among the numbers from 0 up to the sum, both included.
    expect(heavy / steps).toBeCloseTo(3 / 5, 1);
  });
});
