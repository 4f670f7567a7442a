import type { Tx } from "#src/homeserver/database.ts";
import type { UnixMs } from "#src/homeserver/position.ts";
import type { UserId } from "#src/kit/identifiers.ts";
import type { Placed } from "#src/streams/stream.ts";
import { replaceWords } from "./directory-words.ts";
import type { Profile } from "./profile.ts";
import { heardOf, storeHeard } from "./queries-heard-profiles.ts";
import { noteChanged } from "./queries-profile-updates.ts";
import { deleteProfiles, profilesOf, upsertProfiles } from "./queries-profiles.ts";

/** A change of what a user tells about themselves. */
export type ProfileWrite =
  | {
      readonly kind: "own";
      readonly userKey: number;
      readonly userId: UserId;
      /**
       * Makes the new profile from what it is when its turn comes.
       *
       * @throws MatrixError to refuse the write.
       */
      readonly change: (before: Profile) => Profile;
    }
  /** The account has ended: there is nothing any more, and nobody to be found. */
  | { readonly kind: "ended"; readonly userKey: number }
  /** What another server tells of its user. */
  | {
      readonly kind: "heard";
      readonly userKey: number;
      readonly change: (before: Profile) => Profile;
    };

/** What has become of a write: which fields are others now, and whether rooms show any of them. */
export type StoredProfile =
  | { readonly fields: readonly string[]; readonly isShown: boolean }
  | { readonly error: Error };

/** The profiles that a group writes to, by their users' keys. Those of others are what has been heard of them. */
export type KnownProfiles = ReadonlyMap<number, Profile>;

export async function lookForProfiles(
  lane: Tx,
  writes: readonly ProfileWrite[],
): Promise<KnownProfiles> {
  const keysOf = (isHeard: boolean) =>
    writes.flatMap((it) => ((it.kind === "heard") === isHeard ? [it.userKey] : []));
  const [own, heard] = await Promise.all([
    profilesOf(lane, keysOf(false)),
    heardOf(lane, keysOf(true)),
  ]);
  return new Map([...own, ...heard]);
}

/** What a group makes of one user's profile. */
type Outlook = {
  profile: Profile;
  last: ProfileWrite;
  isShown: boolean;
};

/** Stores profiles, in the order of the writes. */
export async function storeProfiles(
  lane: Tx,
  placed: readonly Placed<ProfileWrite>[],
  { known, now }: { readonly known: KnownProfiles; readonly now: UnixMs },
): Promise<readonly StoredProfile[]> {
  const outlooks = new Map<number, Outlook>();
  const stored = placed.map(({ write }): StoredProfile => {
    const { userKey } = write;
    const outlook = outlooks.get(userKey);
    const before = outlook?.profile ?? known.get(userKey) ?? {};
    try {
      const profile = write.kind === "ended" ? {} : write.change(before);
      const fields = changedFields(before, profile);
      const isShown = fields.includes("displayname") || fields.includes("avatar_url");
      if (fields.length > 0 || write.kind === "ended") {
        const wasShown = outlook?.isShown === true;
        outlooks.set(userKey, { profile, last: write, isShown: isShown || wasShown });
      }
      return { fields, isShown };
    } catch (error) {
      return { error: error instanceof Error ? error : new Error(String(error)) };
    }
  });
  await writeAll(lane, [...outlooks.values()], now);
  return stored;
}

function changedFields(before: Profile, after: Profile): string[] {
  const names = new Set([...Object.keys(before), ...Object.keys(after)]);
  return [...names].filter((it) => JSON.stringify(before[it]) !== JSON.stringify(after[it]));
}

async function writeAll(lane: Tx, outlooks: readonly Outlook[], now: UnixMs): Promise<void> {
  const own: { userKey: number; userId: UserId; profile: Profile; isShown: boolean }[] = [];
  const heard: { userKey: number; fields: string }[] = [];
  const ended: number[] = [];
  for (const { last, profile, isShown } of outlooks) {
    const { userKey } = last;
    if (last.kind === "own") own.push({ userKey, userId: last.userId, profile, isShown });
    else if (last.kind === "heard") heard.push({ userKey, fields: JSON.stringify(profile) });
    else ended.push(userKey);
  }
  const shown = own.filter((it) => it.isShown);
  await Promise.all([
    upsertProfiles(lane, own),
    noteChanged(
      lane,
      shown.map((it) => it.userKey),
      now,
    ),
    ...shown.map(async (it) => await replaceWords(lane, it, it.profile.displayname)),
    storeHeard(lane, heard),
    deleteProfiles(lane, ended),
  ]);
}
