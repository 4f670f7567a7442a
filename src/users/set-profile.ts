import type { Tx } from "#src/homeserver/database.ts";
import type { Homeserver } from "#src/homeserver/homeserver.ts";
import type { UserId } from "#src/kit/identifiers.ts";
import { MatrixError } from "#src/kit/matrix-error.ts";
import { write } from "#src/streams/write.ts";
import { replaceWords } from "./directory-words.ts";
import { requireFieldName } from "./profile-fields.ts";
import type { Profile } from "./profile.ts";
import { profilesStream } from "./profiles-stream.ts";
import { upsertProfiles } from "./queries-profiles.ts";
import { tellRoomsSoon } from "./tell-rooms.ts";

/** @spec client-server-api#profiles */
const MOST_PROFILE_BYTES = 64 * 1024;

type Owner = { readonly userKey: number; readonly userId: UserId };

/**
 * Sets a field of a user's profile, or takes it away. A new name or picture is told to every room that
 * the user is joined to; that goes on after this has returned, and after a restart.
 *
 * @param value undefined to take the field away.
 * @throws MatrixError M_KEY_TOO_LARGE, M_INVALID_PARAM for the field's name; M_PROFILE_TOO_LARGE if the
 *   whole profile would be over 64 KiB.
 * @spec client-server-api#put_matrixclientv3profileuseridkeyname
 */
export async function setProfileField(
  hs: Homeserver,
  { userKey, userId }: Owner,
  key: string,
  value: unknown,
): Promise<void> {
  requireFieldName(key);
  const change = (before: Profile) => requireModest(withField(before, key, value));
  const { isShown } = await write(hs, profilesStream, { kind: "own", userKey, userId, change });
  if (isShown) tellRoomsSoon(hs, { userKey, userId });
}

/** Gives a new account its profile, in the transaction that makes the account: there is nobody yet to hear of it. */
export async function storeNewProfile(
  tx: Tx,
  owner: Owner,
  displayname: string | undefined,
): Promise<void> {
  const { userKey } = owner;
  if (displayname !== undefined) await upsertProfiles(tx, [{ userKey, profile: { displayname } }]);
  await replaceWords(tx, owner, displayname);
}

/** Takes away all that a user told about themselves, and makes the user directory find them no more. */
export async function clearProfile(hs: Homeserver, userKey: number): Promise<void> {
  await write(hs, profilesStream, { kind: "ended", userKey });
}

function withField(before: Profile, key: string, value: unknown): Profile {
  const fields = new Map(Object.entries(before));
  if (value === undefined) fields.delete(key);
  else fields.set(key, value);
  return Object.fromEntries(fields);
}

function requireModest(profile: Profile): Profile {
  if (Buffer.byteLength(JSON.stringify(profile)) <= MOST_PROFILE_BYTES) return profile;
  throw new MatrixError("M_PROFILE_TOO_LARGE", "The profile would be over 64 KiB");
}
