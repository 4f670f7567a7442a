import type { Tx } from "#src/homeserver/database.ts";
import type { Homeserver } from "#src/homeserver/homeserver.ts";
import { parseRoomId, type RoomId } from "#src/kit/identifiers.ts";
import { MatrixError } from "#src/kit/matrix-error.ts";
import type { BackedUpRooms, BackedUpSession } from "./key-backup-schemas.ts";
import { type BackupOwner, modestJson, unknownVersion, versionNumber } from "./key-backups.ts";
import {
  deleteSessions,
  lockNewest,
  type SessionRow,
  touchBackup,
  upsertSessions,
} from "./queries-key-backups.ts";

/** Which keys are meant: all of a version, those of a room, or those of one session. */
export type SessionsIn = {
  readonly version: string;
  readonly roomId?: RoomId | undefined;
  readonly sessionId?: string | undefined;
};

/** What is in a backup after it has changed, as it goes over the wire. */
export type BackupState = { readonly count: number; readonly etag: string };

/** How many sessions are stored by one statement. */
const BATCH = 2_000;

/**
 * Adds keys of sessions to the current version. What is there already is replaced by what is
 * verified, or reaches further back, or was forwarded less often, in this order of weight.
 *
 * @throws MatrixError M_NOT_FOUND if there is no backup; M_WRONG_ROOM_KEYS_VERSION with
 *   `current_version` if the version is not the current one; M_INVALID_PARAM of a malformed room ID;
 *   M_TOO_LARGE.
 * @spec client-server-api#put_matrixclientv3room_keyskeys
 */
export async function storeSessions(
  hs: Homeserver,
  { userKey }: BackupOwner,
  { version, rooms }: { readonly version: string; readonly rooms: BackedUpRooms["rooms"] },
): Promise<BackupState> {
  const rows = Object.entries(rooms).flatMap(([roomId, { sessions }]) =>
    Object.entries(sessions).map(([sessionId, it]) => rowOf(parseRoomId(roomId), sessionId, it)),
  );
  return await hs.sql.begin(async (tx) => {
    const current = await lockNewest(tx, userKey);
    if (current === undefined) throw unknownVersion();
    if (String(current) !== version) {
      throw new MatrixError("M_WRONG_ROOM_KEYS_VERSION", "This is not the current version", {
        fields: { current_version: String(current) },
      });
    }
    const backup = { userKey, version: current };
    let added = 0;
    let changed = false;
    for (let from = 0; from < rows.length; from += BATCH) {
      const done = await upsertSessions(tx, backup, rows.slice(from, from + BATCH));
      added += done.added;
      changed ||= done.stored > 0;
    }
    return await stateAfter(tx, backup, { added, changed });
  });
}

/**
 * Deletes keys from a version. None being there is no error.
 *
 * @throws MatrixError M_NOT_FOUND if there is no such version.
 * @spec client-server-api#delete_matrixclientv3room_keyskeys
 */
export async function removeSessions(
  hs: Homeserver,
  { userKey }: BackupOwner,
  { version, roomId, sessionId }: SessionsIn,
): Promise<BackupState> {
  const backup = { userKey, version: versionNumber(version) };
  return await hs.sql.begin(async (tx) => {
    await lockNewest(tx, userKey);
    const deleted = await deleteSessions(tx, { ...backup, roomId, sessionId });
    return await stateAfter(tx, backup, { added: -deleted, changed: deleted > 0 });
  });
}

async function stateAfter(
  tx: Tx,
  backup: { userKey: number; version: number },
  change: { added: number; changed: boolean },
): Promise<BackupState> {
  const state = await touchBackup(tx, backup, change);
  if (!state) throw unknownVersion();
  return { count: state.count, etag: String(state.etag) };
}

function rowOf(roomId: RoomId, sessionId: string, session: BackedUpSession): SessionRow {
  if (sessionId === "" || Buffer.byteLength(sessionId) > 255) {
    throw new MatrixError("M_INVALID_PARAM", "Not a valid session ID");
  }
  return {
    roomId,
    sessionId,
    firstMessageIndex: session.first_message_index,
    forwardedCount: session.forwarded_count,
    isVerified: session.is_verified,
    sessionData: modestJson(session.session_data),
  };
}
