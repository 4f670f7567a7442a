import type { Change, Outcome, Stream } from "#src/streams/stream.ts";
import {
  type ChangedField,
  changedFieldsBetween,
  roomsOfChanged,
  upsertChangedFields,
} from "./queries-profile-changes.ts";

/** The name of the stream, in every `Change` of it. The detail of its changes is a `ProfileDetail`. */
export const PROFILES = "profiles";

/**
 * Which fields of whose profile have changed. One change is told to that user, by its `userKey`, and one to each room
 * that the user is joined to, by its `roomKey`.
 */
export type ProfileDetail = { readonly userKey: number; readonly fields: readonly string[] };

/** What users of this server tell about themselves. The profile itself is stored before. */
export const profilesStream: Stream<ProfileDetail, void> = {
  name: PROFILES,

  async store(_hs, lane, placed) {
    const changed = placed.flatMap(({ write: { userKey, fields }, position }) =>
      fields.map((field) => ({ userKey, field, position })),
    );
    // Of several changes of one field in a group the last counts.
    const last = new Map(changed.map((it) => [`${it.userKey} ${it.field}`, it]));
    if (last.size > 0) await upsertChangedFields(lane, [...last.values()]);
    const rooms = await roomsOfChanged(lane, [...new Set(changed.map((it) => it.userKey))]);
    return placed.map(({ write: detail, position }): Outcome<void> => {
      const changes = changesOf(position, detail, rooms.get(detail.userKey) ?? []);
      return { ok: true, result: undefined, changes };
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
