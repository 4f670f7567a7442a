import type { Homeserver } from "#src/homeserver/homeserver.ts";
import { eventsOf } from "#src/rooms/find-event.ts";
import type { StoredEvent } from "#src/rooms/stored-event.ts";
import { type RoomSummary, roomSummaries } from "#src/sync/room-summaries.ts";
import type { AskedRoom } from "./asked-rooms.ts";
import { bumpStampsOf } from "./bump-stamps.ts";
import type { ToldState } from "./required-states.ts";

/** What a client shows of a room in a list. What it knows already is left out. */
export type RoomProfile = {
  readonly bumpStamp: number;
  /** Null if there is none any more. */
  readonly name?: string | null;
  readonly avatar?: string | null;
  readonly heroes?: readonly Hero[];
  readonly joinedCount?: number;
  readonly invitedCount?: number;
};

/** Names are the wire's. MSC4186. */
export type Hero = {
  readonly user_id: string;
  readonly displayname?: string;
  readonly avatar_url?: string;
};

/** What clients are told of what rooms look like, by room key. */
export async function roomProfiles(
  hs: Homeserver,
  userKey: number,
  rooms: readonly AskedRoom[],
  states: ReadonlyMap<number, ToldState>,
): Promise<Map<number, RoomProfile>> {
  const joined = rooms.filter((it) => it.standing.membership === "join");
  const summed = joined.filter((it) => isSummaryNew(states.get(it.roomKey)));
  const named = new Set(
    summed.flatMap(({ roomKey }) => (nameOf(states.get(roomKey)) === null ? [] : [roomKey])),
  );
  const [stamps, summaries] = await Promise.all([
    bumpStampsOf(
      hs,
      joined.map((it) => it.roomKey),
    ),
    roomSummaries(
      hs,
      userKey,
      summed.map((it) => it.roomKey),
      named,
    ),
  ]);
  const heroEvents = await eventsOf(
    hs,
    [...summaries.values()].flatMap((it) => it.heroEvents),
  );
  return new Map(
    rooms.map(({ roomKey, standing, since }) => {
      const summary = summaries.get(roomKey);
      const heroes =
        summary?.summary["m.heroes"] &&
        summary.heroEvents.flatMap((it) => heroOf(heroEvents.get(it)));
      return [
        roomKey,
        {
          // In a room where nobody has said anything lately it is when the user came to it.
          bumpStamp: stamps.get(roomKey) ?? standing.position,
          ...looksOf(states.get(roomKey), since === undefined),
          ...(heroes && { heroes }),
          ...(summary && countsOf(summary.summary)),
        },
      ];
    }),
  );
}

function isSummaryNew(state: ToldState | undefined): boolean {
  return state !== undefined && (state.hasMembersChanged || state.hasChanged("m.room.name", ""));
}

function looksOf(
  state: ToldState | undefined,
  isAnew: boolean,
): Pick<RoomProfile, "name" | "avatar"> {
  if (!state) return {};
  const name = nameOf(state);
  const avatar = textOf(state.avatar, "url");
  // What a room that is told anew has not, it is not told of.
  const isTold = (type: string, value: string | null) =>
    isAnew ? value !== null : state.hasChanged(type, "");
  return {
    ...(isTold("m.room.name", name) && { name }),
    ...(isTold("m.room.avatar", avatar) && { avatar }),
  };
}

function nameOf(state: ToldState | undefined): string | null {
  return textOf(state?.name, "name");
}

/** Neither does a redaction leave it, nor is an empty one any. */
function textOf(event: StoredEvent | undefined, field: string): string | null {
  if (!event || event.redactedBy !== undefined) return null;
  const value = event.content[field];
  return typeof value === "string" && value !== "" ? value : null;
}

function heroOf(event: StoredEvent | undefined): Hero[] {
  if (event?.stateKey === undefined) return [];
  const displayname = textOf(event, "displayname");
  const avatar_url = textOf(event, "avatar_url");
  return [
    {
      user_id: event.stateKey,
      ...(displayname !== null && { displayname }),
      ...(avatar_url !== null && { avatar_url }),
    },
  ];
}

function countsOf(summary: RoomSummary): Pick<RoomProfile, "joinedCount" | "invitedCount"> {
  return {
    joinedCount: summary["m.joined_member_count"],
    invitedCount: summary["m.invited_member_count"],
  };
}
