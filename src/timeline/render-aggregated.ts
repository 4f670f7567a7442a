import type { Homeserver } from "#src/homeserver/homeserver.ts";
import { type Reader, renderEvents, type RenderOptions } from "#src/rooms/render-events.ts";
import type { StoredEvent } from "#src/rooms/stored-event.ts";
import { type Aggregation, aggregateEvents } from "./aggregate-events.ts";

export type AggregatedOptions = RenderOptions & {
  /** The events with which it is told what relates to them; all if left out. */
  readonly aggregated?: readonly StoredEvent[];
};

/**
 * The JSON texts of events as one reader gets them, with what relates to them.
 *
 * @spec client-server-api#aggregations-of-child-events
 */
export async function renderAggregated(
  hs: Homeserver,
  events: readonly StoredEvent[],
  reader: Reader,
  { aggregated = events, ...options }: AggregatedOptions,
): Promise<string[]> {
  const { standings } = options;
  const found = await aggregateEvents(hs, aggregated, reader, standings);
  if (found.size === 0) return await renderEvents(hs, events, reader, options);
  // The last event of a thread may have been edited, or be referred to; it is the root of none.
  const latest = [...found.values()].flatMap((it) => it.thread?.latest ?? []);
  const edits = [...found.values()].flatMap((it) => it.edit ?? []);
  const ofLatest = await aggregateEvents(hs, latest, reader, standings);
  const furtherEdits = [...ofLatest.values()].flatMap((it) => it.edit ?? []);
  const edited = await textsOf(hs, [...edits, ...furtherEdits], reader, options);
  const lastTexts = await textsOf(hs, latest, reader, {
    ...options,
    relations: relationsOf(ofLatest, edited),
  });
  const relations = relationsOf(found, new Map([...edited, ...lastTexts]));
  return await renderEvents(hs, events, reader, { ...options, relations });
}

type Texts = ReadonlyMap<StoredEvent, string>;

async function textsOf(
  hs: Homeserver,
  events: readonly StoredEvent[],
  reader: Reader,
  options: RenderOptions,
): Promise<Texts> {
  const texts = await renderEvents(hs, events, reader, options);
  return new Map(events.map((it, index) => [it, texts[index] ?? "{}"]));
}

/** The texts of `m.relations`. @param texts those of the events that are shown in them. */
function relationsOf(found: ReadonlyMap<StoredEvent, Aggregation>, texts: Texts): Texts {
  const relations = new Map<StoredEvent, string>();
  for (const [event, { edit, thread, references }] of found) {
    const its = [
      ...(edit ? [`"m.replace":${texts.get(edit)}`] : []),
      ...(thread
        ? [
            `"m.thread":{"count":${thread.count},` +
              `"current_user_participated":${thread.participated},` +
              `"latest_event":${texts.get(thread.latest)}}`,
          ]
        : []),
      ...(references
        ? [`"m.reference":${JSON.stringify({ chunk: references.map((id) => ({ event_id: id })) })}`]
        : []),
    ];
    if (its.length > 0) relations.set(event, `{${its.join(",")}}`);
  }
  return relations;
}
