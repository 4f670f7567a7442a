import { lookup as askSystem, Resolver } from "node:dns/promises";
import { held } from "#src/homeserver/held.ts";
import type { Homeserver } from "#src/homeserver/homeserver.ts";
import { type HostsFile, openHostsFile } from "./hosts-file.ts";

/** A host of a service, as an SRV record names it. */
export type ServiceHost = { readonly host: string; readonly port: number };

type SrvRecord = ServiceHost & { readonly priority: number; readonly weight: number };

/** What can be asked of DNS. */
export type NameServer = {
  resolve4(name: string): Promise<string[]>;
  resolve6(name: string): Promise<string[]>;
  resolveSrv(
    name: string,
  ): Promise<{ name: string; port: number; priority: number; weight: number }[]>;
};

/** Errors of DNS that mean that there is no such record, rather than no answer. */
const NOT_THERE = new Set(["ENOTFOUND", "ENODATA"]);

const SYSTEM_HOSTS = "/etc/hosts";

/** Finds addresses of names, and the hosts of services. */
export type NameLookup = {
  /** Whether a hosts file has the name: then DNS is asked nothing about it. */
  isInHostsFile(name: string): Promise<boolean>;
  /** @throws Error with the resolver's code, as in `ENOTFOUND`. */
  addressesOf(name: string): Promise<readonly string[]>;
  /**
   * The hosts of a service in the order to try them.
   *
   * @param name as in `_matrix-fed._tcp.example.org`.
   * @returns undefined if there is no record, and none if it says that there is no service.
   */
  hostsOfService(name: string): Promise<readonly ServiceHost[] | undefined>;
};

/** The lookup of a process: the configured hosts file, the system's, then DNS. */
export const nameLookupOf = held((hs: Homeserver) => {
  const { hostsFile } = hs.config.federation;
  const files = [
    ...(hostsFile === null ? [] : [openHostsFile(hostsFile, hs.log, hs.now)]),
    ...(process.platform === "win32" ? [] : [openHostsFile(SYSTEM_HOSTS, hs.log, hs.now)]),
  ];
  // Not the system's resolver (`getaddrinfo`): that takes a thread for each name that nobody answers.
  return nameLookup(files, new Resolver({ timeout: 2_000, tries: 3 }), Math.random);
});

/** @param random from 0 up to 1, for the choice among hosts of one service. */
export function nameLookup(
  files: readonly HostsFile[],
  dns: NameServer,
  random: () => number,
): NameLookup {
  const inFiles = async (name: string) => {
    for (const file of files) {
      const addresses = await file.addressesOf(name);
      if (addresses) return addresses;
    }
    // Never a question for DNS (RFC 6761, 6.3).
    return /(?:^|\.)localhost\.?$/i.test(name) ? ["127.0.0.1", "::1"] : undefined;
  };
  return {
    isInHostsFile: async (name) => (await inFiles(name)) !== undefined,
    addressesOf: async (name) => (await inFiles(name)) ?? (await askDns(dns, name)),
    async hostsOfService(name) {
      let records: readonly SrvRecord[];
      try {
        const found = await dns.resolveSrv(name);
        records = found.map(({ name: host, ...record }) => ({ ...record, host }));
      } catch (error) {
        if (NOT_THERE.has(codeOf(error))) return undefined;
        throw error;
      }
      if (records.length === 0) return undefined;
      // A lone dot, which is no name: the service is decidedly not there (RFC 2782).
      const real = records.filter(({ host }) => host !== "" && host !== ".");
      return inOrder(real, random).map(({ host, port }) => ({ host, port }));
    },
  };
}

async function askDns(dns: NameServer, name: string): Promise<readonly string[]> {
  const answers = await Promise.allSettled([dns.resolve6(name), dns.resolve4(name)]);
  const found = answers.flatMap((it) => (it.status === "fulfilled" ? it.value : []));
  if (found.length > 0) return found;
  // A name of one label may be one of the local network, which only the system knows how to find.
  if (!name.includes(".")) return (await askSystem(name, { all: true })).map((it) => it.address);
  const failed = answers.filter((it) => it.status === "rejected").map((it) => it.reason as unknown);
  throw failed.find((it) => !NOT_THERE.has(codeOf(it))) ?? failed[0] ?? notFound(name);
}

function notFound(name: string): Error {
  return Object.assign(new Error(`${name} has no address`), { code: "ENOTFOUND" });
}

/** Orders hosts by priority, and those of one priority by chance, as heavy as they weigh (RFC 2782). */
export function inOrder(records: readonly SrvRecord[], random: () => number): SrvRecord[] {
  const byPriority = Map.groupBy(records, (it) => it.priority);
  return [...byPriority.keys()]
    .toSorted((a, b) => a - b)
    .flatMap((priority) => drawn(byPriority.get(priority) ?? [], random));
}

function drawn(records: readonly SrvRecord[], random: () => number): SrvRecord[] {
  // Those without weight first, so that they have a chance at all.
  const left = records.toSorted((a, b) => a.weight - b.weight);
  const order: SrvRecord[] = [];
  while (left.length > 0) {
    const total = left.reduce((sum, it) => sum + it.weight, 0);
    let rest = Math.floor(random() * (total + 1));
    let index = left.findIndex((it) => (rest -= it.weight) <= 0);
    if (index < 0) index = left.length - 1;
    order.push(...left.splice(index, 1));
  }
  return order;
}

function codeOf(error: unknown): string {
  return error instanceof Error && "code" in error ? String(error.code) : "";
}
