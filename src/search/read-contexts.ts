import { ignoredUsersOf } from "#src/account-data/ignored-users.ts";
import type { Homeserver } from "#src/homeserver/homeserver.ts";
import type { Requester } from "#src/kit/requester.ts";
import { someOfStatesAt } from "#src/rooms/current-state.ts";
import { eventsOf } from "#src/rooms/find-event.ts";
import type { UserRoom } from "#src/rooms/memberships.ts";
import { pairKey } from "#src/rooms/state-slots.ts";
import type { StoredEvent } from "#src/rooms/stored-event.ts";
import { type Place, placeBefore } from "#src/timeline/token.ts";
import { visibleInRooms } from "#src/timeline/visible-events.ts";
import { eventsAround } from "./queries-search.ts";

/** What was said around an event that was found. */
export type Surrounding = {
  /** Newest first. */
  readonly before: readonly StoredEvent[];
  readonly after: readonly StoredEvent[];
  readonly start: Place;
  readonly end: Place;
};

/** What was said around events, as far as the user may see it: with a few queries, however many they are. */
export async function readContexts(
  hs: Homeserver,
  requester: Requester,
  events: readonly StoredEvent[],
  {
    limits,
    rooms,
  }: {
    readonly limits: { readonly before: number; readonly after: number };
    readonly rooms: ReadonlyMap<number, UserRoom>;
  },
): Promise<Map<StoredEvent, Surrounding>> {
  if (events.length === 0) return new Map();
  const rows = await eventsAround(hs.sql, events, limits);
  const [found, ignored] = await Promise.all([
    eventsOf(
      hs,
      rows.map((it) => it.event_key),
    ),
    ignoredUsersOf(hs, requester.userKey),
  ]);
  const wanted = [...found.values()].filter(
    (it) => it.stateKey !== undefined || !ignored.has(it.sender),
  );
  const visible = new Set(await visibleInRooms(hs, requester, wanted, rooms));
  const byEvent = Map.groupBy(rows, (it) => it.of);
  return new Map(
    events.map((event) => {
      const its = byEvent.get(event.eventKey) ?? [];
      const side = (name: "before" | "after") =>
        its
          .filter((it) => it.side === name)
          .flatMap((it) => found.get(it.event_key) ?? [])
          .filter((it) => visible.has(it));
      const before = side("before");
      const after = side("after");
      const first = before.at(-1) ?? event;
      const last = after.at(-1) ?? event;
      const start = placeBefore(first.anchor ?? 0, first.anchorOffset);
      const end = { anchor: last.anchor ?? 0, offset: last.anchorOffset };
      return [event, { before, after, start, end }];
    }),
  );
}

export type Profile = { readonly displayname?: string; readonly avatar_url?: string };

/** What those who sent an event and what is around it were called then, by event and user ID. */
export async function profilesAround(
  hs: Homeserver,
  contexts: ReadonlyMap<StoredEvent, Surrounding>,
): Promise<Map<StoredEvent, Record<string, Profile>>> {
  const senders = new Map(
    [...contexts].map(([event, { before, after }]) => [
      event,
      [...new Set([event, ...before, ...after].map((it) => it.sender))],
    ]),
  );
  const pairs = [...new Set([...senders.values()].flat())].map(
    (user) => ["m.room.member", user] as const,
  );
  const roots = [...contexts.keys()].map((it) => it.stateAfter ?? 0);
  const states = await someOfStatesAt(hs, roots, pairs);
  return new Map(
    [...senders].map(([event, users]) => {
      const state = states.get(event.stateAfter ?? 0);
      const profiles = users.map((user) => {
        const member = state?.get(pairKey("m.room.member", user));
        return [user, member ? profileIn(member) : {}] as const;
      });
      return [event, Object.fromEntries(profiles)];
    }),
  );
}

function profileIn(member: StoredEvent): Profile {
  if (member.redactedBy !== undefined) return {};
  const { displayname, avatar_url } = member.content;
  return {
    ...(typeof displayname === "string" && { displayname }),
    ...(typeof avatar_url === "string" && { avatar_url }),
  };
}
