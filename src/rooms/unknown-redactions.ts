import type { Homeserver } from "#src/homeserver/homeserver.ts";
import type { Standing } from "./memberships.ts";
import { readersMemberships } from "./readers-memberships.ts";
import type { StoredEvent } from "./stored-event.ts";

/**
 * Those of some redactions that were made when a reader had left the room: what they say, such as why, is not for them.
 *
 * @param standings what the reader is in the rooms now, by room key.
 */
export async function unknownRedactions(
  hs: Homeserver,
  redactions: readonly StoredEvent[],
  reader: { readonly userKey: number; readonly userId: string },
  standings: ReadonlyMap<number, Standing>,
): Promise<ReadonlySet<StoredEvent>> {
  const unclear = redactions.filter(({ roomKey }) => {
    const now = standings.get(roomKey)?.membership;
    return now !== undefined && now !== "join";
  });
  if (unclear.length === 0) return new Set();
  const memberships = await readersMemberships(hs, unclear, reader, standings);
  return new Set(unclear.filter((it) => memberships.get(it) !== "join"));
}
