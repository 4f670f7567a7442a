import { isIP, type LookupFunction } from "node:net";
import { checkServerIdentity } from "node:tls";
import { callbackify } from "node:util";
import { buildConnector, type Dispatcher, Pool } from "undici";
import { held } from "#src/homeserver/held.ts";
import type { Homeserver } from "#src/homeserver/homeserver.ts";
import { lru } from "#src/kit/lru.ts";
import { type AddressGuard, addressGuard } from "./address-guard.ts";
import { authoritiesOf } from "./authorities.ts";
import { type Destination, originOf } from "./destination.ts";
import { nameLookupOf } from "./name-lookup.ts";
import { OutboundError } from "./outbound-failure.ts";

/** Connections to one destination at a time; what is more waits for one of them. */
const MOST_CONNECTIONS = 16;

/** Requests that may wait for the connections of one destination. */
const MOST_WAITING = 1_000;

/** Destinations whose connections are kept. */
const MOST_DESTINATIONS = 2_000;

const CONNECT_MS = 10_000;

/** How long an idle connection is kept if the other side does not say. */
const KEEP_MS = 20_000;

/** The connections to one destination. */
export type Connections = {
  readonly dispatcher: Dispatcher;
  /** @throws OutboundError `busy` if too many wait already. */
  requireRoom(): void;
};

type Pooled = Connections & { readonly pool: Pool };

const poolsOf = held((hs) => {
  const pools = lru<string, Pooled>(MOST_DESTINATIONS, {
    // Lets what is under way come to its end.
    dispose: ({ pool }) => void pool.close().catch(() => {}),
  });
  hs.stopping.addEventListener("abort", () => {
    for (const { pool } of pools.values()) void pool.destroy().catch(() => {});
  });
  return pools;
});

const guardOf = held((hs) => addressGuard(hs.config.federation.allowedAddressRanges));

/**
 * The connections to a destination, kept from one request to the next. Each connects to an address
 * that the guard has let pass: the very one that the name led to, so that a name which changes its
 * mind gains nothing.
 */
export function connectionsTo(hs: Homeserver, destination: Destination): Connections {
  const pools = poolsOf(hs);
  const key = `${originOf(destination)} ${destination.certificateName} ${destination.hostHeader} ${destination.isConfigured ?? false}`;
  let pooled = pools.get(key);
  if (!pooled) {
    pooled = open(hs, destination);
    pools.set(key, pooled);
  }
  return pooled;
}

function open(hs: Homeserver, destination: Destination): Pooled {
  const pool = new Pool(originOf(destination), {
    connections: MOST_CONNECTIONS,
    pipelining: 1,
    keepAliveTimeout: KEEP_MS,
    connect: connectorTo(hs, destination),
  });
  return {
    pool,
    dispatcher: pool,
    requireRoom() {
      if (pool.stats.queued < MOST_WAITING) return;
      throw new OutboundError("busy", `${MOST_WAITING} requests wait for this server`);
    },
  };
}

function connectorTo(hs: Homeserver, destination: Destination): buildConnector.connector {
  const guard = destination.isConfigured ? () => true : guardOf(hs);
  const { certificateName } = destination;
  const connect = buildConnector({
    timeout: CONNECT_MS,
    // One request at a time on a connection: a slow answer holds up no other.
    allowH2: false,
    autoSelectFamily: true,
    lookup: guardedLookup(hs, guard),
    secureContext: authoritiesOf(hs),
    checkServerIdentity: (_name, certificate) => checkServerIdentity(certificateName, certificate),
  });
  return (options, callback) => {
    // What is an address already is never looked up: as URLs have it, where `127.1` and `2130706433` are some too.
    const host = options.hostname.replace(/^\[(.*)\]$/, "$1");
    if (isIP(host) !== 0 && !guard(host)) {
      callback(forbidden(host), null);
      return;
    }
    connect({ ...options, servername: isIP(certificateName) ? "" : certificateName }, callback);
  };
}

/** Looks a name up for a connection, which asks for all addresses and tries them in turn. */
function guardedLookup(hs: Homeserver, guard: AddressGuard): LookupFunction {
  return callbackify(async (name: string, _options: object) => {
    const all = await nameLookupOf(hs).addressesOf(name);
    const open = all.filter(guard);
    if (open.length === 0) throw forbidden(name);
    return open.map((address) => ({ address, family: isIP(address) }));
  });
}

function forbidden(host: string): OutboundError {
  return new OutboundError(
    "forbidden-address",
    `${host} leads to an address that may not be connected to: see federation.allowedAddressRanges`,
  );
}
