import type { Homeserver } from "#src/homeserver/homeserver.ts";
import { findEvents } from "../find-event.ts";
import { roomsByKeys } from "../find-room.ts";
import { EventStatus, type StoredEvent } from "../stored-event.ts";

/**
 * The member events of those who have sent some events while the members of their rooms are not all known: by what the
 * events themselves cite. Of all other events there are none.
 *
 * @param known member events that are at hand: of their users none are looked for.
 * @spec client-server-api#lazy-loading-room-members
 */
export async function citedMembers(
  hs: Homeserver,
  events: readonly StoredEvent[],
  known: readonly StoredEvent[],
): Promise<StoredEvent[]> {
  const partial = events.filter((it) => it.isOnPartial);
  if (partial.length === 0) return [];
  const names = new Set(known.filter(isMember).map((it) => nameOf(it.roomKey, it.stateKey)));
  const wanted = partial.filter((it) => !names.has(nameOf(it.roomKey, it.sender)));
  const rooms = await roomsByKeys(
    hs,
    wanted.map((it) => it.roomKey),
  );
  const citedBy = wanted.map((it) => {
    const room = rooms.get(it.roomKey);
    return { it, ids: room ? it.pdu(room.rules).auth_events : [] };
  });
  const found = await findEvents(
    hs,
    citedBy.flatMap(({ ids }) => ids),
  );
  const members = new Map<string, StoredEvent>();
  for (const { it, ids } of citedBy) {
    for (const cited of ids.flatMap((id) => found.get(id) ?? [])) {
      const isSender = isMember(cited) && cited.stateKey === it.sender;
      if (isSender && cited.roomKey === it.roomKey && cited.status !== EventStatus.rejected) {
        members.set(nameOf(it.roomKey, it.sender), cited);
      }
    }
  }
  return [...members.values()];
}

function isMember({ type }: StoredEvent): boolean {
  return type === "m.room.member";
}

function nameOf(roomKey: number, userId: string | undefined): string {
  return `${roomKey} ${userId ?? ""}`;
}
