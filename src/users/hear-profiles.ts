import type { Homeserver } from "#src/homeserver/homeserver.ts";
import type { Job } from "#src/jobs/job.ts";
import type { UserId } from "#src/kit/identifiers.ts";
import { MatrixError } from "#src/kit/matrix-error.ts";
import { write } from "#src/streams/write.ts";
import { requireFieldName } from "./profile-fields.ts";
import type { Profile } from "./profile.ts";
import { profilesStream } from "./profiles-stream.ts";
import { deleteUnheard, usersToHearOf } from "./queries-heard-profiles.ts";

/** As many bytes as a profile of ours may have. @spec client-server-api#profiles */
const MOST_BYTES = 65_536;

/** What a server tells of a user's profile: fields that have changed, null if they were taken away. */
export type ToldProfile = {
  readonly userId: UserId;
  readonly fields: Readonly<Record<string, unknown>>;
};

/**
 * Takes in what another server tells of its users' profiles, and tells those of ours who share rooms with them. Of others
 * nothing is kept, nor what would make more than a profile may be.
 */
export async function hearProfiles(hs: Homeserver, told: readonly ToldProfile[]): Promise<void> {
  if (told.length === 0) return;
  const byUser = Map.groupBy(told, (it) => it.userId);
  const known = await usersToHearOf(hs.sql, [...byUser.keys()]);
  await Promise.all(
    known.map(async ({ userKey, userId }) => {
      const said = Object.assign(
        {},
        ...(byUser.get(userId) ?? []).map((it) => it.fields),
      ) as object;
      const change = (before: Profile) => withSaid(before, Object.entries(said));
      await write(hs, profilesStream, { kind: "heard", userKey, change });
    }),
  );
}

/** A profile with what is said of it; as it was, if that makes more of it than it may be. */
function withSaid(before: Profile, said: readonly (readonly [string, unknown])[]): Profile {
  const fields = new Map(Object.entries(before));
  for (const [name, value] of said.filter(([it]) => isFieldName(it))) {
    if (value === null) fields.delete(name);
    else fields.set(name, value);
  }
  const profile = Object.fromEntries(fields);
  const text = JSON.stringify(profile);
  const isFit = Buffer.byteLength(text) <= MOST_BYTES && !text.includes(String.raw`\u0000`);
  return isFit ? profile : before;
}

function isFieldName(name: string): boolean {
  try {
    requireFieldName(name);
    return true;
  } catch (error) {
    if (error instanceof MatrixError) return false;
    throw error;
  }
}

/** Forgets what was heard of users with whom nobody shares a room any more. */
export const forgetHeardProfiles: Job = {
  name: "forget-heard-profiles",
  everyMs: 60 * 60_000,
  async run(hs) {
    await deleteUnheard(hs.sql);
    return "done";
  },
};
