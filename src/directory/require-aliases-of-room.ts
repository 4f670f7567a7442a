import type { Homeserver } from "#src/homeserver/homeserver.ts";
import type { CanonicalObject } from "#src/kit/canonical-json.ts";
import { parseRoomAlias, type RoomAlias, serverNameOf } from "#src/kit/identifiers.ts";
import { MatrixError } from "#src/kit/matrix-error.ts";
import { stateEvent } from "#src/rooms/current-state.ts";
import type { Room } from "#src/rooms/find-room.ts";
import { shownContent } from "#src/rooms/shown-content.ts";
import { roomOfAlias } from "./room-aliases.ts";

/**
 * Checks the aliases that a canonical alias event newly names: they must stand for the room.
 *
 * @throws MatrixError M_INVALID_PARAM of what is no alias; M_BAD_ALIAS of one that leads elsewhere.
 * @spec client-server-api#room-aliases
 */
export async function requireAliasesOfRoom(
  hs: Homeserver,
  { roomKey, rules }: Room,
  content: CanonicalObject,
): Promise<void> {
  const current = await stateEvent(hs, roomKey, "m.room.canonical_alias", "");
  const known = new Set(namedIn(current ? shownContent(current, rules) : {}));
  for (const name of namedIn(content)) {
    if (known.has(name)) continue;
    const alias = parsed(name);
    const ours = serverNameOf(alias) === hs.name;
    if (!ours || (await roomOfAlias(hs, alias))?.roomKey !== roomKey) throw badAlias();
  }
}

/**
 * Checks the aliases that a canonical alias event names in a room that is being made: it has only the one
 * that it is made with.
 *
 * @throws MatrixError M_INVALID_PARAM of what is no alias; M_BAD_ALIAS of another.
 * @spec client-server-api#post_matrixclientv3createroom
 */
export function requireOnlyAlias(content: CanonicalObject, only: RoomAlias | undefined): void {
  for (const name of namedIn(content)) if (parsed(name) !== only) throw badAlias();
}

function parsed(name: unknown): RoomAlias {
  if (typeof name !== "string") throw new MatrixError("M_INVALID_PARAM", "Not a room alias");
  return parseRoomAlias(name);
}

function badAlias(): MatrixError {
  return new MatrixError("M_BAD_ALIAS", "The alias does not stand for this room");
}

function namedIn({ alias, alt_aliases = [] }: CanonicalObject): unknown[] {
  // What is no list names something that is no alias.
  const named: unknown[] = Array.isArray(alt_aliases) ? [...alt_aliases] : [null];
  // An empty alias takes the canonical one away.
  if (alias !== undefined && alias !== null && alias !== "") named.unshift(alias);
  return named;
}
