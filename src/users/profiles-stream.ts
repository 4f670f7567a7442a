import type { Change, Outcome, Stream } from "#src/streams/stream.ts";
import {
  type ChangedField,
  changedFieldsBetween,
  roomsOfChanged,
  upsertChangedFields,
} from "./queries-profile-changes.ts";
import {
  type KnownProfiles,
  lookForProfiles,
  type ProfileWrite,
  storeProfiles,
} from "./store-profiles.ts";

/** The name of the stream, in every `Change` of it. The detail of its changes is a `ProfileDetail`. */
export const PROFILES = "profiles";

/**
 * Which fields of whose profile have changed. One change is told to that user, by its `userKey`, and one to each room
 * that the user is joined to, by its `roomKey`.
 */
export type ProfileDetail = { readonly userKey: number; readonly fields: readonly string[] };

/** Whether rooms show what has changed. */
export type ProfileWritten = { readonly isShown: boolean };

/** What users tell about themselves: stored with the news of it, so that nobody misses any. */
export const profilesStream: Stream<ProfileWrite, ProfileWritten> = {
  name: PROFILES,

  look: async (_hs, lane, writes) => await lookForProfiles(lane, writes),

  async store(hs, lane, placed, looked) {
    const known = looked as KnownProfiles;
    const stored = await storeProfiles(lane, placed, { known, now: hs.now() });
    const changed = placed.flatMap(({ write: { userKey }, position }, index) => {
      const it = stored[index];
      const fields = it && "fields" in it ? it.fields : [];
      return fields.map((field) => ({ userKey, field, position }));
    });
    // Of several changes of one field in a group the last counts.
    const last = new Map(changed.map((it) => [`${it.userKey} ${it.field}`, it]));
    if (last.size > 0) await upsertChangedFields(lane, [...last.values()]);
    const rooms = await roomsOfChanged(lane, [...new Set(changed.map((it) => it.userKey))]);
    return placed.map(({ write: { userKey }, position }, index): Outcome<ProfileWritten> => {
      const it = stored[index];
      if (!it) return { ok: false, error: new Error("a profile was passed over") };
      if ("error" in it) return { ok: false, error: it.error };
      const { fields, isShown } = it;
      const detail = { userKey, fields };
      const changes =
        fields.length > 0 ? changesOf(position, detail, rooms.get(userKey) ?? []) : [];
      return { ok: true, result: { isShown }, changes };
    });
  },

  async changesBetween(sql, after, upTo) {
    const fields = await changedFieldsBetween(sql, after, upTo);
    const rooms = await roomsOfChanged(sql, [...new Set(fields.map((it) => it.userKey))]);
    return [...Map.groupBy(fields, (it) => `${it.userKey} ${it.position}`).values()].flatMap(
      (its) => changesOfFields(its, rooms),
    );
  },
};

function changesOfFields(
  its: readonly ChangedField[],
  rooms: ReadonlyMap<number, readonly number[]>,
): Change[] {
  const [first] = its;
  if (!first) return [];
  const { userKey, position } = first;
  const detail = { userKey, fields: its.map((it) => it.field) };
  return changesOf(position, detail, rooms.get(userKey) ?? []);
}

function changesOf(position: number, detail: ProfileDetail, roomKeys: readonly number[]): Change[] {
  const common = { position, stream: PROFILES, detail };
  const { userKey } = detail;
  return [{ ...common, userKey }, ...roomKeys.map((roomKey) => ({ ...common, roomKey }))];
}
