import { readServerAcl, type ServerAcl, serverIsAllowed } from "#src/events/server-acl.ts";
import type { Homeserver } from "#src/homeserver/homeserver.ts";
import { eventsOf } from "./find-event.ts";
import { lookUpSlots } from "./state-map/look-up-slots.ts";
import { slotsOf, type StatePair } from "./state-slots.ts";
import type { StoredEvent } from "./stored-event.ts";

const SERVER_ACL: StatePair = ["m.room.server_acl", ""];

/** Lists that have been read: a room asks for its own with each event that comes. */
const read = new WeakMap<StoredEvent, ServerAcl>();

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
      return event !== undefined && !serverIsAllowed(aclOf(event), server);
    }),
  );
}

function aclOf(event: StoredEvent): ServerAcl {
  // Nothing of it survives redaction.
  if (event.redactedBy !== undefined) return readServerAcl({});
  let acl = read.get(event);
  if (!acl) {
    acl = readServerAcl(event.content);
    read.set(event, acl);
  }
  return acl;
}
