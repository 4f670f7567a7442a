import type { StoredEvent } from "#src/rooms/stored-event.ts";
import { tokenOf } from "#src/timeline/token.ts";
import type { SlidingAnswer } from "./read-sliding-sync.ts";
import type { RoomAnswer } from "./told-room.ts";

/** Which of the two forms of an answer is wanted: that of clients of today, or that of the text that was accepted. */
export type Form = "deployed" | "accepted";

/** An answer as JSON text: the events' texts, made once, are put together. MSC4186. */
export function slidingText(
  answer: SlidingAnswer,
  { pos, form, txnId }: { pos: string; form: Form; txnId: string | undefined },
): string {
  const lists = [...answer.counts].map(([name, count]) => [name, { count }]);
  const extensions = [...answer.extensions].map(([name, { value }]) => [name, value]);
  const rooms = answer.rooms.map(
    (it) => `${JSON.stringify(it.room.roomId)}:${roomText(answer, it, form)}`,
  );
  return (
    `{"pos":${JSON.stringify(pos)},` +
    (txnId === undefined ? "" : `"txn_id":${JSON.stringify(txnId)},`) +
    `"lists":${JSON.stringify(Object.fromEntries(lists))},` +
    `"rooms":{${rooms.join(",")}},"extensions":${JSON.stringify(Object.fromEntries(extensions))}}`
  );
}

function roomText(answer: SlidingAnswer, told: RoomAnswer, form: Form): string {
  const { room, stripped } = told;
  const isAccepted = form === "accepted";
  const fields = {
    ...(room.since === undefined && { initial: true }),
    ...(isAccepted && { membership: room.standing.membership }),
    ...(isAccepted && room.lists.length > 0 && { lists: room.lists }),
    ...dmOf(told),
    ...(room.isStripped ? { bump_stamp: room.standing.position } : profileOf(told, form)),
  };
  const own = JSON.stringify(fields).slice(1, -1);
  const parts = [
    ...(own === "" ? [] : [own]),
    ...stateParts(answer, told, form),
    ...timelineParts(answer, told, form),
  ];
  // The deployed form has it only of rooms that the user is invited to or knocks on.
  if (stripped && (room.isStripped || isAccepted)) {
    parts.push(`"${isAccepted ? "stripped_state" : "invite_state"}":[${stripped.join(",")}]`);
  }
  return `{${parts.join(",")}}`;
}

function dmOf({ room: { isDm, told, since } }: RoomAnswer): object {
  const known = since === undefined ? false : told?.isDm;
  return isDm === known ? {} : { is_dm: isDm };
}

function profileOf({ profile, unread }: RoomAnswer, form: Form): object {
  const { bumpStamp, name, avatar, heroes, joinedCount, invitedCount } = profile ?? {};
  return {
    bump_stamp: bumpStamp,
    name,
    avatar,
    heroes,
    joined_count: joinedCount,
    invited_count: invitedCount,
    ...(form === "deployed" && unread),
  };
}

function stateParts(
  answer: SlidingAnswer,
  { state, stateEvents }: RoomAnswer,
  form: Form,
): string[] {
  const texts = stateEvents.map((it) => textOf(answer, it));
  if (form === "accepted") {
    for (const [type, state_key] of state?.deleted ?? []) {
      texts.push(JSON.stringify({ type, state_key }));
    }
  }
  return texts.length > 0 ? [`"required_state":[${texts.join(",")}]`] : [];
}

function timelineParts(
  answer: SlidingAnswer,
  { room, timeline }: RoomAnswer,
  form: Form,
): string[] {
  if (!timeline) return [];
  const { events, limited, start } = timeline;
  const { position } = answer;
  const live =
    position === undefined ? 0 : events.filter((it) => (it.anchor ?? 0) > position).length;
  const parts = [
    `"timeline":[${events.map((it) => textOf(answer, it)).join(",")}]`,
    `"limited":${limited}`,
    `"num_live":${live}`,
    `"prev_batch":${JSON.stringify(tokenOf(start))}`,
  ];
  if (room.isExpanded) {
    parts.push(`"${form === "accepted" ? "" : "unstable_"}expanded_timeline":true`);
  }
  return parts;
}

function textOf({ texts }: SlidingAnswer, event: StoredEvent): string {
  return texts.get(event) ?? "{}";
}
