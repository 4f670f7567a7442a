import type { Homeserver } from "#src/homeserver/homeserver.ts";
import { MatrixError } from "#src/kit/matrix-error.ts";
import type { BackupUpdate, BackupVersion } from "./key-backup-schemas.ts";
import { deleteBackup, findBackup, insertBackup, updateAuthData } from "./queries-key-backups.ts";

/** The most that a backup's `auth_data`, or the data of one session in it, may take as JSON. */
const MOST_CHARACTERS = 65_536;

/** The most versions that a user may have. Only the newest is written to; what others hold nobody but the user can judge. */
const MOST_VERSIONS = 100;

/** A user, as far as backups are concerned. */
export type BackupOwner = { readonly userKey: number };

/** A version of a backup as it goes over the wire. */
export type BackupInfo = {
  readonly algorithm: string;
  readonly auth_data: object;
  /** How many sessions are in it. */
  readonly count: number;
  /** Another whenever something in it is. */
  readonly etag: string;
  readonly version: string;
};

/**
 * Begins a new version of a user's backup, which is the current one from then on.
 *
 * @throws MatrixError M_TOO_LARGE; M_FORBIDDEN of who has too many.
 * @spec client-server-api#post_matrixclientv3room_keysversion
 */
export async function createBackup(
  hs: Homeserver,
  { userKey }: BackupOwner,
  { algorithm, auth_data }: BackupVersion,
): Promise<string> {
  const backup = { algorithm, authData: modestJson(auth_data), most: MOST_VERSIONS };
  const version = await insertBackup(hs.sql, userKey, backup);
  if (version === undefined) {
    throw new MatrixError("M_FORBIDDEN", `You have ${MOST_VERSIONS} backups: delete one first`);
  }
  return String(version);
}

/**
 * A version of a user's backup; the current one if none is named.
 *
 * @throws MatrixError M_NOT_FOUND
 * @spec client-server-api#get_matrixclientv3room_keysversion
 */
export async function getBackup(
  hs: Homeserver,
  { userKey }: BackupOwner,
  version?: string,
): Promise<BackupInfo> {
  const number = version === undefined ? undefined : versionNumber(version);
  const row = await findBackup(hs.sql, userKey, number);
  if (!row) throw unknownVersion();
  return {
    algorithm: row.algorithm,
    auth_data: JSON.parse(row.authData) as object,
    count: row.count,
    etag: String(row.etag),
    version: String(row.version),
  };
}

/**
 * Changes the `auth_data` of a version.
 *
 * @throws MatrixError M_NOT_FOUND; M_INVALID_PARAM if the algorithm or the version is another; M_TOO_LARGE.
 * @spec client-server-api#put_matrixclientv3room_keysversionversion
 */
export async function updateBackup(
  hs: Homeserver,
  { userKey }: BackupOwner,
  { version, update }: { readonly version: string; readonly update: BackupUpdate },
): Promise<void> {
  if (update.version !== undefined && update.version !== version) {
    throw new MatrixError("M_INVALID_PARAM", "The versions in the path and in the body differ");
  }
  const number = versionNumber(version);
  const row = await findBackup(hs.sql, userKey, number);
  if (!row) throw unknownVersion();
  if (row.algorithm !== update.algorithm) {
    throw new MatrixError("M_INVALID_PARAM", "The algorithm of a backup cannot be changed");
  }
  const authData = modestJson(update.auth_data);
  await updateAuthData(hs.sql, userKey, { version: number, authData });
}

/**
 * Deletes a version and all keys in it.
 *
 * @throws MatrixError M_NOT_FOUND
 * @spec client-server-api#delete_matrixclientv3room_keysversionversion
 */
export async function removeBackup(
  hs: Homeserver,
  { userKey }: BackupOwner,
  version: string,
): Promise<void> {
  if (!(await deleteBackup(hs.sql, userKey, versionNumber(version)))) throw unknownVersion();
}

/**
 * The number that a version is called by.
 *
 * @throws MatrixError M_NOT_FOUND of what cannot be one.
 */
export function versionNumber(version: string): number {
  if (!/^[1-9]\d{0,8}$/.test(version)) throw unknownVersion();
  return Number(version);
}

export function unknownVersion(): MatrixError {
  return new MatrixError("M_NOT_FOUND", "There is no such version of the backup");
}

/** The text of an object in a backup. @throws MatrixError M_TOO_LARGE */
export function modestJson(object: object): string {
  const json = JSON.stringify(object);
  if (json.length <= MOST_CHARACTERS) return json;
  throw new MatrixError("M_TOO_LARGE", "This is more than any key takes");
}
