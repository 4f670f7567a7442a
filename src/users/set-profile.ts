import type { Tx } from "#src/homeserver/database.ts";
import type { Homeserver } from "#src/homeserver/homeserver.ts";
import type { UserId } from "#src/kit/identifiers.ts";
import { MatrixError } from "#src/kit/matrix-error.ts";
import { write } from "#src/streams/write.ts";
import { replaceWords } from "./directory-words.ts";
import { requireFieldName } from "./profile-fields.ts";
import { type Profile, type ProfileRow, wholeProfile } from "./profile.ts";
import { profilesStream } from "./profiles-stream.ts";
import { noteChanged } from "./queries-profile-updates.ts";
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
  owner: Owner,
  key: string,
  value: unknown,
): Promise<void> {
  requireFieldName(key);
  const isShown = await hs.sql.begin(async (tx) => {
    const before = await lockProfile(tx, owner.userKey);
    const after = withField(before, key, value);
    if (Buffer.byteLength(JSON.stringify(after)) > MOST_PROFILE_BYTES) {
      throw new MatrixError("M_PROFILE_TOO_LARGE", "The profile would be over 64 KiB");
    }
    await storeProfile(tx, owner.userKey, after);
    if (after.displayname !== before.displayname) await replaceWords(tx, owner, after.displayname);
    if (after.displayname === before.displayname && after.avatar_url === before.avatar_url) {
      return false;
    }
    await noteChanged(tx, owner.userKey, hs.now());
    return true;
  });
  await write(hs, profilesStream, { userKey: owner.userKey, fields: [key] });
  if (isShown) tellRoomsSoon(hs, owner);
}

/** Gives a new account its profile, in the transaction that makes the account. */
export async function storeNewProfile(
  tx: Tx,
  owner: Owner,
  displayname: string | undefined,
): Promise<void> {
  if (displayname !== undefined) await storeProfile(tx, owner.userKey, { displayname });
  await replaceWords(tx, owner, displayname);
}

/** Takes away all that a user told about themselves, and makes the user directory find them no more. */
export async function clearProfile(hs: Homeserver, userKey: number): Promise<void> {
  const fields = await hs.sql.begin(async (tx) => {
    const rows = await tx<ProfileRow[]>`
      delete from profiles where user_key = ${userKey}
      returning displayname, avatar_url, others`;
    await tx`delete from profile_updates where user_key = ${userKey}`;
    await tx`delete from directory_words where user_key = ${userKey}`;
    return rows.flatMap((it) => Object.keys(wholeProfile(it)));
  });
  if (fields.length > 0) await write(hs, profilesStream, { userKey, fields });
}

/** The profile, which nobody else can change until the transaction ends. */
async function lockProfile(tx: Tx, userKey: number): Promise<Profile> {
  await tx`insert into profiles (user_key) values (${userKey}) on conflict do nothing`;
  const [row] = await tx<ProfileRow[]>`
    select displayname, avatar_url, others from profiles where user_key = ${userKey} for update`;
  return row ? wholeProfile(row) : {};
}

function withField(before: Profile, key: string, value: unknown): Profile {
  const fields = new Map(Object.entries(before));
  if (value === undefined) fields.delete(key);
  else fields.set(key, value);
  return Object.fromEntries(fields);
}

async function storeProfile(tx: Tx, userKey: number, profile: Profile): Promise<void> {
  const { displayname = null, avatar_url = null, ...others } = profile;
  await tx`
    insert into profiles (user_key, displayname, avatar_url, others)
    values (${userKey}, ${displayname}, ${avatar_url}, ${JSON.stringify(others)})
    on conflict (user_key) do update set displayname = excluded.displayname,
      avatar_url = excluded.avatar_url, others = excluded.others`;
}
