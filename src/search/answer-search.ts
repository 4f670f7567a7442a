import type { Homeserver } from "#src/homeserver/homeserver.ts";
import type { Requester } from "#src/kit/requester.ts";
import { allStateAt, currentStateRoot } from "#src/rooms/current-state.ts";
import { roomsByKeys } from "#src/rooms/find-room.ts";
import type { UserRoom } from "#src/rooms/memberships.ts";
import { renderEvents } from "#src/rooms/render-events.ts";
import type { StoredEvent } from "#src/rooms/stored-event.ts";
import { endOfLastStay } from "#src/timeline/last-stay.ts";
import { renderAggregated } from "#src/timeline/render-aggregated.ts";
import { tokenOf } from "#src/timeline/token.ts";
import { profilesAround, readContexts } from "./read-contexts.ts";
import { type Hit, searchEvents, type SearchResult } from "./search-events.ts";
import type { Criteria, GroupKey } from "./search-request.ts";
import { parseSearchToken, searchTokenOf, type SearchToken } from "./search-token.ts";
import { SEARCH_KEYS, type SearchKey } from "./searchable-text.ts";

const LIMITS = { standard: 10, most: 100 };
const CONTEXT = { standard: 5, most: 20 };

/**
 * Searches, and says what was found as the specification has it.
 *
 * @returns JSON text of the category `room_events`.
 * @throws MatrixError M_INVALID_PARAM
 * @spec client-server-api#post_matrixclientv3search
 */
export async function answerSearch(
  hs: Homeserver,
  requester: Requester,
  criteria: Criteria,
  nextBatch: string | undefined,
): Promise<string> {
  const limit = Math.min(Math.max(criteria.filter?.limit ?? LIMITS.standard, 1), LIMITS.most);
  const after = nextBatch ? parseSearchToken(nextBatch) : undefined;
  const found = await searchEvents(hs, requester, {
    term: criteria.search_term,
    keys: criteria.keys ?? (Object.keys(SEARCH_KEYS) as SearchKey[]),
    filter: criteria.filter,
    order: criteria.order_by ?? "rank",
    limit,
    after,
  });
  const { hits, count, highlights, next, rooms } = found;
  const [results, state] = await Promise.all([
    resultTexts(hs, requester, criteria, found),
    criteria.include_state === true ? stateTexts(hs, requester, { hits, rooms }) : undefined,
  ]);
  const groups = await groupsOf(hs, criteria, { hits, next });
  return (
    `{"count":${count},"highlights":${JSON.stringify(highlights)},"results":[${results.join(",")}]` +
    (state === undefined ? "" : `,"state":${state}`) +
    (groups === undefined ? "" : `,"groups":${JSON.stringify(groups)}`) +
    (next ? `,"next_batch":${JSON.stringify(searchTokenOf(next))}` : "") +
    "}"
  );
}

async function resultTexts(
  hs: Homeserver,
  requester: Requester,
  { event_context: asked }: Criteria,
  { hits, rooms }: Pick<SearchResult, "hits" | "rooms">,
): Promise<string[]> {
  const events = hits.map((it) => it.event);
  const size = (wanted: number | undefined) => Math.min(wanted ?? CONTEXT.standard, CONTEXT.most);
  const contexts = asked
    ? await readContexts(hs, requester, events, {
        limits: { before: size(asked.before_limit), after: size(asked.after_limit) },
        rooms,
      })
    : new Map<StoredEvent, never>();
  const profiles = asked?.include_profile ? await profilesAround(hs, contexts) : undefined;
  const around = [...contexts.values()].flatMap((it) => [...it.before, ...it.after]);
  const all = [...new Set([...events, ...around])];
  const options = { roomId: true, standings: rooms, aggregated: events };
  const rendered = await renderAggregated(hs, all, requester, options);
  const texts = new Map(all.map((it, index) => [it, rendered[index] ?? "{}"]));
  const listOf = (its: readonly StoredEvent[]) => `[${its.map((it) => texts.get(it)).join(",")}]`;
  return hits.map(({ event, rank }) => {
    const context = contexts.get(event);
    const profile = profiles?.get(event);
    return (
      `{"rank":${rank},"result":${texts.get(event)}` +
      (context
        ? `,"context":{"events_before":${listOf(context.before)},"events_after":${listOf(context.after)},` +
          `"start":${JSON.stringify(tokenOf(context.start))},"end":${JSON.stringify(tokenOf(context.end))}` +
          (profile ? `,"profile_info":${JSON.stringify(profile)}` : "") +
          "}"
        : "") +
      "}"
    );
  });
}

/** The state of the rooms of which something was found: of those that the user has left, as it was then. */
async function stateTexts(
  hs: Homeserver,
  requester: Requester,
  { hits, rooms }: Pick<SearchResult, "hits" | "rooms">,
): Promise<string> {
  const ids = await roomsByKeys(
    hs,
    hits.map((it) => it.event.roomKey),
  );
  const texts: string[] = [];
  for (const [roomKey, { roomId }] of ids) {
    const root = await rootFor(hs, roomKey, rooms.get(roomKey));
    const state = await renderEvents(hs, await allStateAt(hs, root), requester, { roomId: true });
    texts.push(`${JSON.stringify(roomId)}:[${state.join(",")}]`);
  }
  return `{${texts.join(",")}}`;
}

async function rootFor(
  hs: Homeserver,
  roomKey: number,
  standing: UserRoom | undefined,
): Promise<number> {
  if (standing?.membership === "join") return await currentStateRoot(hs, roomKey);
  return (await endOfLastStay(hs, standing))?.stateAfter ?? 0;
}

type Group = { results: string[]; order: number; next_batch?: string };

/** @spec client-server-api#groups */
async function groupsOf(
  hs: Homeserver,
  { groupings }: Criteria,
  { hits, next }: { readonly hits: readonly Hit[]; readonly next: SearchToken | undefined },
): Promise<Record<string, Record<string, Group>> | undefined> {
  const keys = new Set((groupings?.group_by ?? []).map((it) => it.key));
  if (keys.size === 0) return undefined;
  const ids = await roomsByKeys(
    hs,
    hits.map((it) => it.event.roomKey),
  );
  const valueOf = (key: GroupKey, { event }: Hit) =>
    key === "sender" ? event.sender : (ids.get(event.roomKey)?.roomId ?? "");
  const groups = [...keys].map((key) => {
    const byValue = Map.groupBy(hits, (hit) => valueOf(key, hit));
    const its = [...byValue].map(([value, own], index): [string, Group] => [
      value,
      {
        results: own.map((it) => it.event.eventId),
        order: index + 1,
        // A group goes on where it was left: a search by rank, at its beginning, has told some of another order.
        ...(next && { next_batch: searchTokenOf(inGroup(next, { key, value }, own)) }),
      },
    ]);
    return [key, Object.fromEntries(its)] as const;
  });
  return Object.fromEntries(groups);
}

function inGroup(
  next: SearchToken,
  group: NonNullable<SearchToken["group"]>,
  own: readonly Hit[],
): SearchToken {
  return { ...next, told: next.told > 0 ? own.length : 0, group };
}
