import type { Homeserver } from "#src/homeserver/homeserver.ts";
import type { CanonicalObject } from "#src/kit/canonical-json.ts";
import type { RoomAlias, RoomId } from "#src/kit/identifiers.ts";
import { MatrixError } from "#src/kit/matrix-error.ts";
import type { Requester } from "#src/kit/requester.ts";
import { stateEvent } from "#src/rooms/current-state.ts";
import { findRoom } from "#src/rooms/find-room.ts";
import { sendEvent } from "#src/rooms/send-event.ts";
import { shownContent } from "#src/rooms/shown-content.ts";
import { mayNameRoom } from "./may-name-room.ts";
import { roomOfAlias } from "./room-aliases.ts";

/**
 * Takes an alias away from its room. Who made it may, who may change the room's canonical alias, and
 * administrators.
 *
 * @throws MatrixError M_NOT_FOUND; M_FORBIDDEN.
 * @spec client-server-api#delete_matrixclientv3directoryroomroomalias
 */
export async function deleteAlias(
  hs: Homeserver,
  requester: Requester,
  alias: RoomAlias,
): Promise<void> {
  const found = await roomOfAlias(hs, alias);
  if (!found) throw new MatrixError("M_NOT_FOUND", "No room has this alias");
  const mayDelete =
    requester.isAdmin ||
    found.creatorKey === requester.userKey ||
    (await mayNameRoom(hs, requester, found.roomId));
  if (!mayDelete) throw new MatrixError("M_FORBIDDEN", "You may not delete this alias");
  // In this order: whoever is cut off in between can say it again.
  await takeFromRoom(hs, requester, { alias, roomId: found.roomId });
  await hs.sql`delete from room_aliases where alias = ${alias}`;
}

/** Has the room no longer name the alias, if it does and the user may change that. */
async function takeFromRoom(
  hs: Homeserver,
  requester: Requester,
  { alias, roomId }: { alias: RoomAlias; roomId: RoomId },
): Promise<void> {
  const room = await findRoom(hs, roomId);
  const named = room && (await stateEvent(hs, room.roomKey, "m.room.canonical_alias", ""));
  if (!named) return;
  const { alias: canonical, alt_aliases, ...rest } = shownContent(named, room.rules);
  const others = Array.isArray(alt_aliases) ? alt_aliases.filter((it) => it !== alias) : [];
  if (canonical !== alias && !(Array.isArray(alt_aliases) && alt_aliases.includes(alias))) return;
  const content: CanonicalObject = {
    ...rest,
    ...(canonical !== undefined && canonical !== alias && { alias: canonical }),
    ...(others.length > 0 && { alt_aliases: others }),
  };
  const draft = { type: "m.room.canonical_alias", state_key: "", content };
  try {
    await sendEvent(hs, { sender: requester, room, draft });
  } catch (error) {
    // The alias is gone all the same; whoever may name the room will mend its name.
    if (!(error instanceof MatrixError)) throw error;
  }
}
