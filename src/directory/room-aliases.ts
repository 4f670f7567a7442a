import { ownersOfAlias } from "#src/config/registered-appservices.ts";
import type { Queryable, Tx } from "#src/homeserver/database.ts";
import type { Homeserver } from "#src/homeserver/homeserver.ts";
import type { RoomAlias, RoomId } from "#src/kit/identifiers.ts";
import { MatrixError } from "#src/kit/matrix-error.ts";
import type { Requester } from "#src/kit/requester.ts";

/**
 * @throws MatrixError M_EXCLUSIVE if the alias is kept for an application service that does not ask.
 * @spec application-service-api#server-admin-style-permissions
 */
export function requireUnclaimedAlias(
  hs: Homeserver,
  alias: RoomAlias,
  { appserviceId }: Pick<Requester, "appserviceId">,
): void {
  if (ownersOfAlias(hs.config, alias).some((it) => it.id !== appserviceId)) {
    throw new MatrixError("M_EXCLUSIVE", "The alias is kept for an application service");
  }
}

/** @throws MatrixError M_ROOM_IN_USE if the alias is somebody's. */
export async function requireFreeAlias(hs: Homeserver, alias: RoomAlias): Promise<void> {
  if ((await roomOfAlias(hs, alias)) !== undefined) {
    throw new MatrixError("M_ROOM_IN_USE", "The alias is taken");
  }
}

/** The room that an alias of this server stands for. */
export async function roomOfAlias(
  hs: Homeserver,
  alias: RoomAlias,
): Promise<{ roomKey: number; roomId: RoomId; creatorKey: number } | undefined> {
  const [row] = await hs.sql<{ roomKey: number; roomId: RoomId; creatorKey: number }[]>`
    select room_key as "roomKey", room_id as "roomId", creator_key as "creatorKey"
    from room_aliases join rooms using (room_key) where alias = ${alias}`;
  return row;
}

/**
 * Gives an alias to a room.
 *
 * @throws MatrixError M_ROOM_IN_USE if it is taken.
 */
export async function claimAlias(
  tx: Tx,
  { alias, roomKey, userKey }: { alias: RoomAlias; roomKey: number; userKey: number },
): Promise<void> {
  const claimed = await tx`
    insert into room_aliases (alias, room_key, creator_key)
    values (${alias}, ${roomKey}, ${userKey}) on conflict do nothing returning alias`;
  if (claimed.length === 0) throw new MatrixError("M_ROOM_IN_USE", "The alias is taken");
}

/** Lists a room in the directory, for a network or for nobody's. */
export async function publishRoom(
  tx: Queryable,
  roomKey: number,
  userKey: number,
  network = "",
): Promise<void> {
  await tx`
    insert into published_rooms (room_key, network, publisher_key)
    values (${roomKey}, ${network}, ${userKey})
    on conflict do nothing`;
}

/** The aliases of this server that stand for a room. */
export async function aliasesOfRoom(hs: Homeserver, roomKey: number): Promise<RoomAlias[]> {
  const rows = await hs.sql<{ alias: RoomAlias }[]>`
    select alias from room_aliases where room_key = ${roomKey} order by alias`;
  return rows.map((it) => it.alias);
}

/** Whether this server's directory says anything of a room. */
export async function isInDirectory(hs: Homeserver, roomKey: number): Promise<boolean> {
  const rows = await hs.sql`
    select from room_aliases where room_key = ${roomKey}
    union all select from published_rooms where room_key = ${roomKey} limit 1`;
  return rows.length > 0;
}

/** Has all that this server's directory says of a room said of another. */
export async function moveInDirectory(
  tx: Tx,
  { from, to }: { readonly from: number; readonly to: number },
): Promise<void> {
  await tx`update room_aliases set room_key = ${to} where room_key = ${from}`;
  await tx`
    with old as (
      delete from published_rooms where room_key = ${from} returning network, publisher_key
    )
    insert into published_rooms (room_key, network, publisher_key)
    select ${to}::bigint, network, publisher_key from old
    on conflict do nothing`;
}
