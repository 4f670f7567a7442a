import { held } from "#src/homeserver/held.ts";
import type { Homeserver } from "#src/homeserver/homeserver.ts";
import type { UnixMs } from "#src/homeserver/position.ts";
import type { ServerName } from "#src/kit/identifiers.ts";
import { lru } from "#src/kit/lru.ts";
import type { Destination } from "#src/outbound/destination.ts";
import { nameLookupOf, type ServiceHost } from "#src/outbound/name-lookup.ts";
import { OutboundError } from "#src/outbound/outbound-failure.ts";
import { parseServerNameParts, type ServerNameParts } from "./parse-server-name.ts";
import { type Delegation, delegationsOf } from "./well-known.ts";

const DEFAULT_PORT = 8448;

/** How long what DNS said of a service is kept: the driver does not tell how long it may be. */
const SERVICE_MS = 5 * 60_000;

/** In how many places a server is looked for: DNS may name a thousand, each of which has whoever asks wait. */
const MOST_PLACES = 8;

/** What resolution asks of the world. */
export type Discovery = {
  delegationOf(host: string): Promise<Delegation | undefined>;
  /** In the order to try them; undefined if there is no such service. */
  hostsOfService(name: string): Promise<readonly ServiceHost[] | undefined>;
  isInHostsFile(host: string): Promise<boolean>;
};

type KnownService = {
  readonly hosts: readonly ServiceHost[] | undefined;
  readonly untilMs: UnixMs;
};

const servicesOf = held(() => lru<string, KnownService>(20_000));

/**
 * Finds where another server is to be reached: several places if DNS names several, in the order to
 * try them.
 *
 * @throws OutboundError `unknown-host` if the name is none, or its domain says that it has no server.
 * @spec server-server-api#resolving-server-names
 */
export async function resolveServer(
  hs: Homeserver,
  name: ServerName,
): Promise<readonly Destination[]> {
  const names = nameLookupOf(hs);
  return await resolveServerName(name, {
    delegationOf: (host) => delegationsOf(hs).delegationOf(host),
    isInHostsFile: (host) => names.isInHostsFile(host),
    async hostsOfService(service) {
      const known = servicesOf(hs).get(service);
      if (known && known.untilMs > hs.now()) return known.hosts;
      const hosts = await names.hostsOfService(service);
      servicesOf(hs).set(service, { hosts, untilMs: hs.now() + SERVICE_MS });
      return hosts;
    },
  });
}

/** The six steps of resolution. See `resolveServer`. */
export async function resolveServerName(
  name: string,
  discovery: Discovery,
): Promise<readonly Destination[]> {
  const parts = parseServerNameParts(name);
  if (!parts) throw new OutboundError("unknown-host", "not a server name");
  // 1. An address is used as it is. 2. A name with a port leads to its address.
  if (parts.isAddress || parts.port !== undefined) return [placeOf(name, parts)];

  // 3. The host may delegate to another server.
  const delegation = await discovery.delegationOf(parts.host);
  if (delegation) {
    // 3.1. An address is used as it is. 3.2. A name with a port leads to its address.
    if (delegation.isAddress || delegation.port !== undefined) {
      return [placeOf(delegation.name, delegation)];
    }
    // 3.3, 3.4, 3.5. Its services, or else its own port 8448.
    return await placesOfHost(delegation.host, discovery);
  }
  // 4, 5, 6. The services of the host itself, or else its own port 8448.
  return await placesOfHost(parts.host, discovery);
}

/** `name` is what the server is called there: with its port, if it has one. */
function placeOf(name: string, { host, port = DEFAULT_PORT }: ServerNameParts): Destination {
  return { protocol: "https:", host, port, certificateName: host, hostHeader: name };
}

async function placesOfHost(host: string, discovery: Discovery): Promise<readonly Destination[]> {
  const services = (await discovery.isInHostsFile(host))
    ? undefined
    : await servicesOfHost(host, discovery);
  if (!services) return [placeOf(host, { host, isAddress: false })];
  if (services.length === 0) {
    throw new OutboundError("unknown-host", `${host} says that it has no server`);
  }
  // Whoever DNS names must prove that they are the host itself: DNS may lie.
  const expected = { protocol: "https:", certificateName: host, hostHeader: host } as const;
  return services.slice(0, MOST_PLACES).map((it) => ({ ...expected, ...it }));
}

async function servicesOfHost(host: string, discovery: Discovery) {
  for (const service of ["_matrix-fed._tcp", "_matrix._tcp"]) {
    try {
      const hosts = await discovery.hostsOfService(`${service}.${host}`);
      if (hosts) return hosts;
    } catch {
      // DNS has no answer. Where it has never heard of services, the host itself may be there, and has to
      // show the same certificate.
    }
  }
  return undefined;
}
