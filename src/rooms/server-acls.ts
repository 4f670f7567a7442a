import type { LRUCache } from "lru-cache";
import { readServerAcl, type ServerAcl, serverIsAllowed } from "#src/events/server-acl.ts";
import type { Homeserver } from "#src/homeserver/homeserver.ts";
import { lru } from "#src/kit/lru.ts";
import { eventsOf } from "./find-event.ts";
import { lookUpSlots } from "./state-map/look-up-slots.ts";
import { slotsOf, type StatePair } from "./state-slots.ts";
import type { StoredEvent } from "./stored-event.ts";

const SERVER_ACL: StatePair = ["m.room.server_acl", ""];

/** A list that has been read, and what it says of servers that it was asked about. */
type Read = { readonly acl: ServerAcl; readonly denied: LRUCache<string, boolean> };

/** A room asks its own with each event that comes; one that is full of globs takes tens of milliseconds for an answer. */
const read = new WeakMap<StoredEvent, Read>();

/** Of how many servers it is kept what a list says. */
const MOST_SERVERS = 1_000;

/**
 * Those of some states in which a server is denied, by their roots. With no query, mostly.
 *
 * @spec server-server-api#server-access-control-lists-acls
 */
export async function statesDenying(
  hs: Homeserver,
  roots: readonly number[],
  server: string,
): Promise<ReadonlySet<number>> {
  // Made if no room has one yet, so that it need not be looked for each time.
  const [slot] = (await slotsOf(hs, [SERVER_ACL])).values();
  if (slot === undefined) throw new Error("a state's pair was given no slot");
  const keys = await lookUpSlots(
    hs,
    hs.sql,
    roots.map((root) => ({ root, slot })),
  );
  const events = await eventsOf(
    hs,
    keys.filter((it) => it !== undefined),
  );
  return new Set(
    roots.filter((_, index) => {
      const event = events.get(keys[index] ?? -1);
      return event !== undefined && denies(event, server);
    }),
  );
}

function denies(event: StoredEvent, server: string): boolean {
  // Nothing of it survives redaction.
  if (event.redactedBy !== undefined) return !serverIsAllowed(readServerAcl({}), server);
  const { acl, denied } = readOnce(event);
  const known = denied.get(server);
  if (known !== undefined) return known;
  const isDenied = !serverIsAllowed(acl, server);
  denied.set(server, isDenied);
  return isDenied;
}

function readOnce(event: StoredEvent): Read {
  let it = read.get(event);
  if (!it) {
    it = { acl: readServerAcl(event.content), denied: lru(MOST_SERVERS) };
    read.set(event, it);
  }
  return it;
}
