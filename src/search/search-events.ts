import { ignoredUsersOf } from "#src/account-data/ignored-users.ts";
import type { RoomEventFilter } from "#src/filters/filter.ts";
import { matchesRoomEventFilter, matchesRooms } from "#src/filters/matches-event-filter.ts";
import type { Homeserver } from "#src/homeserver/homeserver.ts";
import type { RoomId } from "#src/kit/identifiers.ts";
import type { Requester } from "#src/kit/requester.ts";
import { erasedUsers } from "#src/rooms/erased-users.ts";
import { eventsOf } from "#src/rooms/find-event.ts";
import { roomsByKeys } from "#src/rooms/find-room.ts";
import { roomsOfUser, type UserRoom } from "#src/rooms/memberships.ts";
import { readersMemberships } from "#src/rooms/readers-memberships.ts";
import type { StoredEvent } from "#src/rooms/stored-event.ts";
import { editsOf } from "#src/timeline/aggregate-events.ts";
import { endsOfStays } from "#src/timeline/ends-of-stays.ts";
import { relatingEvents } from "#src/timeline/relating-events.ts";
import { type Place, placeBefore } from "#src/timeline/token.ts";
import { visibleInRooms } from "#src/timeline/visible-events.ts";
import { catchUpSearch, roomToken } from "./follow-events.ts";
import { type FoundEntry, indexedEntries, newestEntries, shareOf } from "./queries-search.ts";
import type { SearchToken } from "./search-token.ts";
import { highlightsOf, queryOf, rankOf, termsOf, type SearchTerms } from "./search-tokens.ts";
import { SEARCH_KEYS, type SearchKey, searchableText } from "./searchable-text.ts";

/** How many of the newest entries are looked through before the index of tokens is asked. */
const LOOKED_THROUGH = 5_000;

/** How many matches are read at once, and how often, where not all of them are for the reader. */
const READ_AT_ONCE = 100;
const MOST_READINGS = 5;

/** Of more matches than these the newest are ranked. */
const MOST_RANKED = 300;

/** A user in more rooms than these has matches sorted out by room after they are found. */
const MOST_ROOM_TOKENS = 300;

/** So has a user in whose rooms more of all entries are than this: the index would go through most of itself for them. */
const MOST_ROOM_SHARE = 0.25;

export type Search = {
  readonly term: string;
  readonly keys: readonly SearchKey[];
  readonly filter: RoomEventFilter | undefined;
  readonly order: "rank" | "recent";
  readonly limit: number;
  readonly after: SearchToken | undefined;
};

export type Hit = { readonly event: StoredEvent; readonly rank: number };

export type SearchResult = {
  readonly hits: readonly Hit[];
  /** How many there are, as far as was looked. */
  readonly count: number;
  readonly highlights: readonly string[];
  readonly next: SearchToken | undefined;
  /** The rooms that were searched, by their keys. */
  readonly rooms: ReadonlyMap<number, UserRoom>;
};

type Scope = {
  readonly requester: Requester;
  readonly search: Search;
  readonly terms: SearchTerms;
  readonly query: string;
  readonly rooms: ReadonlyMap<number, UserRoom>;
  readonly ignored: ReadonlySet<string>;
};

/**
 * What was said with some words in the rooms that a user is or was in, as far as they may see it. What was
 * edited is found by its newest text; what was redacted is not.
 *
 * @spec client-server-api#server-side-search
 */
export async function searchEvents(
  hs: Homeserver,
  requester: Requester,
  search: Search,
): Promise<SearchResult> {
  const terms = termsOf(search.term);
  const words = queryOf(terms);
  const rooms = await searchedRooms(hs, requester, search);
  if (words === undefined || rooms.size === 0 || search.keys.length === 0) {
    return { hits: [], count: 0, highlights: [], next: undefined, rooms };
  }
  await catchUpSearch(hs);
  const further = await restrictions(hs, search.keys, [...rooms.keys()]);
  const query = [words, ...further].join(" & ");
  const ignored = await ignoredUsersOf(hs, requester.userKey);
  const scope = { requester, search, terms, query, rooms, ignored };
  const found =
    search.order === "recent" ? await newestHits(hs, scope) : await rankedHits(hs, scope);
  const highlights = found.hits.flatMap((it) => highlightsOf(it.text, terms));
  return { ...found, highlights: [...new Set(highlights)], rooms };
}

/** The rooms that a user is or was in, without those that they have forgotten. */
async function searchedRooms(
  hs: Homeserver,
  { userKey }: Requester,
  { filter, after }: Search,
): Promise<Map<number, UserRoom>> {
  const all = await roomsOfUser(hs, userKey, ["join", "leave", "ban"]);
  const ids = await roomsByKeys(
    hs,
    all.map((it) => it.roomKey),
  );
  const isWanted = (roomId: RoomId | undefined) =>
    matchesRooms(filter, roomId ?? "") &&
    (after?.group?.key !== "room_id" || after.group.value === roomId);
  return new Map(
    all
      .filter((it) => isWanted(ids.get(it.roomKey)?.roomId))
      .map((it) => [it.roomKey, it] as const),
  );
}

/** What of a query keeps it to some rooms and kinds of entries, where that helps the index. */
async function restrictions(
  hs: Homeserver,
  keys: readonly SearchKey[],
  roomKeys: readonly number[],
): Promise<string[]> {
  const anyOf = (tokens: readonly string[]) => `(${tokens.map((it) => `'${it}'`).join(" | ")})`;
  const areFew =
    roomKeys.length <= MOST_ROOM_TOKENS && (await shareOf(hs.sql, roomKeys)) < MOST_ROOM_SHARE;
  return [
    ...(areFew ? [anyOf(roomKeys.map(roomToken))] : []),
    // Messages have no token of their own: nearly all are messages.
    ...(keys.includes("content.body") ? [] : [anyOf(keys.map((it) => SEARCH_KEYS[it]))]),
  ];
}

type TextHit = Hit & { readonly text: string };
type Found = {
  readonly hits: readonly TextHit[];
  readonly count: number;
  readonly next: SearchToken | undefined;
};

async function newestHits(hs: Homeserver, scope: Scope): Promise<Found> {
  const { limit, after } = scope.search;
  const hits: TextHit[] = [];
  let from = after?.from;
  let seen = 0;
  let isMore = true;
  for (let readings = 0; isMore && hits.length < limit && readings < MOST_READINGS; readings++) {
    const rows = await matches(hs, scope, { from, limit: READ_AT_ONCE });
    const found = await hitsOf(hs, scope, rows);
    seen += found.length;
    hits.push(...found.slice(0, limit - hits.length));
    isMore = rows.length === READ_AT_ONCE;
    const last = rows.at(-1);
    if (last) from = placeBefore(last.anchor, last.anchor_offset);
  }
  const count = after?.count ?? seen;
  const next = nextPlace(hits, { limit, isMore, from });
  return { hits, count, next: next && { from: next, told: 0, count, group: after?.group } };
}

/** Where the next page begins. Clients expect one after every page that is full, though it may have nothing. */
function nextPlace(
  hits: readonly TextHit[],
  { limit, isMore, from }: { limit: number; isMore: boolean; from: Place | undefined },
): Place | undefined {
  const last = hits.at(-1)?.event;
  if (last && hits.length === limit) return placeBefore(last.anchor ?? 0, last.anchorOffset);
  return isMore ? from : undefined;
}

async function rankedHits(hs: Homeserver, scope: Scope): Promise<Found> {
  const { limit, after } = scope.search;
  const rows = await matches(hs, scope, { from: after?.from, limit: MOST_RANKED });
  const all = await hitsOf(hs, scope, rows);
  // The newer first where ranks are the same.
  const ranked = all.toSorted((a, b) => b.rank - a.rank);
  const told = after?.told ?? 0;
  const hits = ranked.slice(told, told + limit);
  const [newest] = rows;
  const from = after?.from ?? (newest && { anchor: newest.anchor, offset: newest.anchor_offset });
  const count = after?.count ?? all.length;
  if (!from || hits.length < limit) return { hits, count, next: undefined };
  return { hits, count, next: { from, told: told + limit, count, group: after?.group } };
}

/**
 * The newest entries that match. What many entries have is soon found among the newest; what few have, by the index
 * of tokens: neither takes long, however much there is.
 */
async function matches(
  hs: Homeserver,
  { query, rooms }: Scope,
  { from, limit }: { readonly from: Place | undefined; readonly limit: number },
): Promise<readonly FoundEntry[]> {
  const asked = { query, roomKeys: [...rooms.keys()], from, limit };
  const newest = await newestEntries(hs.sql, asked, LOOKED_THROUGH);
  return newest.length >= READ_AT_ONCE ? newest : await indexedEntries(hs.sql, asked);
}

/** Those of some matches that the user may see and wants. */
async function hitsOf(
  hs: Homeserver,
  { requester, search, terms, rooms, ignored }: Scope,
  rows: readonly FoundEntry[],
): Promise<TextHit[]> {
  const events = await eventsOf(
    hs,
    rows.map((it) => it.event_key),
  );
  const types = new Set<string>(search.keys.map((it) => SEARCH_KEYS[it]));
  const { filter, after } = search;
  const sender = after?.group?.key === "sender" ? after.group.value : undefined;
  const page = rows
    .flatMap((it) => events.get(it.event_key) ?? [])
    .filter(
      (it) =>
        types.has(it.type) &&
        (it.stateKey !== undefined || !ignored.has(it.sender)) &&
        (sender === undefined || it.sender === sender),
    );
  const ends = await endsOfStays(hs, standingsAt(rooms, page));
  const [relating, edits] = await Promise.all([
    relatingEvents(hs, filter, page),
    editsOf(hs, page, ends),
  ]);
  const hits = page.flatMap((event): TextHit[] => {
    if (!matchesRoomEventFilter(filter, event, relating.get(event.eventId))) return [];
    const text = searchableText(event, edits.get(event.eventId));
    const rank = text === undefined ? 0 : rankOf(text, terms);
    return text !== undefined && rank > 0 ? [{ event, rank, text }] : [];
  });
  const found = hits.map((it) => it.event);
  const [visible, erased] = await Promise.all([
    visibleInRooms(hs, requester, found, rooms),
    erasedFor(hs, requester, found, rooms),
  ]);
  const isSeen = new Set(visible);
  return hits.filter((it) => isSeen.has(it.event) && !erased.has(it.event));
}

/** What the reader is in the rooms of some events. */
function standingsAt(
  rooms: ReadonlyMap<number, UserRoom>,
  events: readonly StoredEvent[],
): ReadonlyMap<number, UserRoom> {
  const roomKeys = new Set(events.map((it) => it.roomKey));
  return new Map([...rooms].filter(([roomKey]) => roomKeys.has(roomKey)));
}

/** What was said by users who wanted it erased, when the reader was not there: it is found no more than it is shown. */
async function erasedFor(
  hs: Homeserver,
  requester: Requester,
  events: readonly StoredEvent[],
  rooms: ReadonlyMap<number, UserRoom>,
): Promise<ReadonlySet<StoredEvent>> {
  const erased = await erasedUsers(hs);
  const theirs = events.filter((it) => erased.has(it.senderKey));
  if (theirs.length === 0) return new Set();
  const memberships = await readersMemberships(hs, theirs, requester, rooms);
  return new Set(theirs.filter((it) => memberships.get(it) !== "join"));
}
