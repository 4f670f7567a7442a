import { setImmediate as nextTurn } from "node:timers/promises";
import type { Bundle } from "#src/devices/messages-for-servers.ts";
import { isDatabaseAway } from "#src/homeserver/connection-errors.ts";
import { held } from "#src/homeserver/held.ts";
import type { Homeserver } from "#src/homeserver/homeserver.ts";
import type { Position } from "#src/homeserver/position.ts";
import type { ServerName } from "#src/kit/identifiers.ts";
import { eventsOf } from "#src/rooms/find-event.ts";
import { roomsByKeys } from "#src/rooms/find-room.ts";
import type { StoredEvent } from "#src/rooms/stored-event.ts";
import { tailOf } from "#src/streams/tail.ts";
import { visibleToServer } from "#src/timeline/visible-to-server.ts";
import {
  type EduSources,
  packMessages,
  packProfiles,
  packReceipts,
  packUpdates,
  readEduSources,
} from "./pack-edus.ts";
import { firstOwed, type Limits, type Owed, type Stretch } from "./queries-owed.ts";

/** The most events of a transaction. @spec server-server-api#transactions */
const MOST_PDUS = 50;

/** One more than is sent, of what is sent one by one. */
const LIMITS: Limits = {
  events: MOST_PDUS + 1,
  receipts: 501,
  updates: 101,
  introductions: 11,
  belated: 11,
  earlier: MOST_PDUS + 1,
  profiles: 11,
};

/** For how many destinations one query asks. */
const MOST_AT_ONCE = 100;

/**
 * How many positions are looked through for one destination at a time. One that has been away for a week, and is owed next to
 * nothing, would have all that others have said meanwhile be looked through, each time that it is tried.
 */
const LONGEST_STRETCH = 25_000;

/** The next piece of the streams as they concern one destination. */
export type Parcel = {
  /** From just after one position up to and including another. */
  readonly after: Position;
  readonly upTo: Position;
  /** The events' texts, in order. */
  readonly pdus: readonly string[];
  readonly edus: readonly string[];
  /** The messages to devices that are among the EDUs: to be deleted once they have been taken. */
  readonly bundles: readonly Bundle[];
  /** Whether there is more after it already. */
  readonly isMore: boolean;
};

type Question = {
  readonly serverName: ServerName;
  readonly after: Position;
  readonly resolve: (parcel: Parcel) => void;
  readonly reject: (error: unknown) => void;
};

const waitingOf = held((): Question[] => []);

/** Puts together what a destination is owed next. Destinations for which this is asked at the same time share a query. */
export async function packTransaction(
  hs: Homeserver,
  serverName: ServerName,
  after: Position,
): Promise<Parcel> {
  const waiting = waitingOf(hs);
  const packed = new Promise<Parcel>((resolve, reject) => {
    waiting.push({ serverName, after, resolve, reject });
  });
  if (waiting.length === 1) void answerAll(hs, waiting);
  return await packed;
}

async function answerAll(hs: Homeserver, waiting: Question[]): Promise<void> {
  await nextTurn();
  const { position } = tailOf(hs);
  const byLength = Map.groupBy(waiting.splice(0), (it) => position - it.after > LONGEST_STRETCH);
  // Whoever is up to date does not wait for those who are not.
  await Promise.all(
    Array.from(byLength.values(), async (all) => {
      for (let at = 0; at < all.length; at += MOST_AT_ONCE) {
        await answer(hs, all.slice(at, at + MOST_AT_ONCE));
      }
    }),
  );
}

/** Never throws: whoever has asked hears of it. */
async function answer(hs: Homeserver, questions: readonly Question[]): Promise<void> {
  try {
    // What the tail has heard of has been committed, so the query that is made now sees it.
    const { position } = tailOf(hs);
    const stretches = questions.map((it) => ({
      ...it,
      upTo: Math.max(it.after, Math.min(position, it.after + LONGEST_STRETCH)),
    }));
    const rows = await firstOwed(hs.sql, stretches, LIMITS);
    const [events, sources] = await Promise.all([
      eventsOf(
        hs,
        rows.flatMap((it) => eventKeyOf(it) ?? []),
      ),
      readEduSources(hs, rows),
    ]);
    const seen = await mayBeSeen(hs, rows, events);
    const owed = Map.groupBy(seen, (it) => it.serverName);
    for (const it of stretches) {
      const parcel = parcelOf(it, owed.get(it.serverName) ?? [], { events, sources });
      it.resolve({ ...parcel, isMore: parcel.isMore || it.upTo < position });
    }
  } catch (error) {
    if (questions.length === 1 || isDatabaseAway(error)) {
      for (const { reject } of questions) reject(error);
      return;
    }
    // What is wrong with what one is owed keeps nothing from the others.
    for (const it of questions) await answer(hs, [it]);
  }
}

type Read = {
  readonly events: ReadonlyMap<number, StoredEvent>;
  readonly sources: EduSources;
};

function parcelOf(
  { serverName, after, upTo: end }: Stretch,
  owed: readonly Owed[],
  { events, sources }: Read,
): Parcel {
  const of = (kind: Owed["kind"]) => owed.filter((it) => it.kind === kind);
  // Each kind says how far it is whole; the piece ends where the first of them is cut short. EDUs that are sent
  // before their place are sent again, which does no harm; messages to devices are not: they are deleted.
  const messages = packMessages(serverName, sources, end);
  const receipts = packReceipts(of("receipt"), sources, endOf(of("receipt"), LIMITS.receipts, end));
  const updates = packUpdates(
    [...of("update"), ...of("introduction"), ...of("belated")],
    sources,
    Math.min(
      endOf(of("update"), LIMITS.updates, end),
      endOf(of("introduction"), LIMITS.introductions, end),
      endOf(of("belated"), LIMITS.belated, end),
    ),
  );
  const profiles = packProfiles(of("profile"), sources, endOf(of("profile"), LIMITS.profiles, end));
  const whole = [messages, receipts, updates, profiles].map((it) => it.upTo);
  // Those from before go with the new ones, each in its turn.
  const pdus = [...of("earlier"), ...of("meanwhile"), ...of("event")].toSorted(
    (a, b) => a.position - b.position,
  );
  const first = pdus.slice(0, LIMITS.events);
  const reached = Math.max(after, Math.min(endOf(first, LIMITS.events, end), ...whole));
  const sent = first.filter((it) => it.position <= reached);
  return {
    after,
    upTo: reached,
    pdus: sent.flatMap((it) => events.get(eventKeyOf(it) ?? -1)?.json ?? []),
    edus: [...messages.edus, ...updates.edus, ...profiles.edus, ...receipts.edus],
    bundles: messages.bundles,
    isMore: reached < end || messages.isMore,
  };
}

/** The event that a destination is owed. */
function eventKeyOf({ kind, position, part }: Owed): number | undefined {
  if (kind === "event") return position;
  return kind === "earlier" || kind === "meanwhile" ? part : undefined;
}

/** What is owed, without what was said while the server was taken for gone if only those may see it who were there. */
async function mayBeSeen(
  hs: Homeserver,
  rows: readonly Owed[],
  events: ReadonlyMap<number, StoredEvent>,
): Promise<readonly Owed[]> {
  const doubtful = rows.filter((it) => it.kind === "meanwhile");
  if (doubtful.length === 0) return rows;
  const rooms = await roomsByKeys(
    hs,
    doubtful.flatMap((it) => events.get(it.part)?.roomKey ?? []),
  );
  const hidden = new Set<Owed>();
  for (const it of doubtful) {
    const event = events.get(it.part);
    const room = event && rooms.get(event.roomKey);
    const seen = room && (await visibleToServer(hs, room, [event], it.serverName));
    if (!seen?.size) hidden.add(it);
  }
  return rows.filter((it) => !hidden.has(it));
}

/** Up to where some things are all that there is, of which no more than a number were looked for. */
function endOf(owed: readonly Owed[], limit: number, end: Position): Position {
  const next = owed.length === limit ? owed.at(-1) : undefined;
  return next ? next.position - 1 : end;
}
