import type { Homeserver } from "#src/homeserver/homeserver.ts";
import type { Job } from "#src/jobs/job.ts";
import type { UserId } from "#src/kit/identifiers.ts";
import { MatrixError } from "#src/kit/matrix-error.ts";
import { write } from "#src/streams/write.ts";
import { requireFieldName } from "./profile-fields.ts";
import { profilesStream } from "./profiles-stream.ts";
import { deleteUnheard, heardProfiles, storeHeard } from "./queries-heard-profiles.ts";

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
  const known = await heardProfiles(hs.sql, [...byUser.keys()]);
  const changed = known.flatMap(({ userKey, userId, fields }) => {
    const said = Object.assign({}, ...(byUser.get(userId) ?? []).map((it) => it.fields));
    const profile = new Map(Object.entries(JSON.parse(fields ?? "{}") as object));
    const names = Object.entries(said as object).flatMap(([name, value]) =>
      isFieldName(name) && setField(profile, name, value) ? [name] : [],
    );
    const text = JSON.stringify(Object.fromEntries(profile));
    const isFit = Buffer.byteLength(text) <= MOST_BYTES && !text.includes(String.raw`\u0000`);
    return names.length > 0 && isFit ? [{ userKey, fields: text, names }] : [];
  });
  if (changed.length === 0) return;
  await storeHeard(hs.sql, changed);
  await Promise.all(
    changed.map(
      async ({ userKey, names }) => await write(hs, profilesStream, { userKey, fields: names }),
    ),
  );
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

/** @returns whether that changes anything. */
function setField(profile: Map<string, unknown>, name: string, value: unknown): boolean {
  if (value === null) return profile.delete(name);
  if (JSON.stringify(profile.get(name)) === JSON.stringify(value)) return false;
  profile.set(name, value);
  return true;
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
