import { matchesStars } from "#src/kit/glob.ts";
import type { EventFilter, RoomEventFilter } from "./filter.ts";

/** What a filter looks at in an event. Account data and ephemeral events have no sender. */
export type Filterable = {
  readonly type: string;
  readonly sender?: string | undefined;
  readonly content?: Readonly<Record<string, unknown>> | undefined;
  /** Of an event that was redacted: nothing that a filter could find in the content is left of that. */
  readonly redactedBy?: number | undefined;
};

/** Events that relate to an event, for the filters that ask about them. */
export type Relating = {
  readonly senders: ReadonlySet<string>;
  readonly relTypes: ReadonlySet<string>;
};

/**
 * Whether a filter lets an event through. What a list excludes is out even where another includes it.
 *
 * @spec client-server-api#filtering
 */
export function matchesEventFilter(
  filter: EventFilter | undefined,
  { type, sender }: Pick<Filterable, "type" | "sender">,
): boolean {
  if (!filter) return true;
  const { types, not_types, senders, not_senders } = filter;
  if (not_types?.some((it) => matchesStars(it, type))) return false;
  if (types && !types.some((it) => matchesStars(it, type))) return false;
  if (sender !== undefined && not_senders?.includes(sender)) return false;
  return !senders || (sender !== undefined && senders.includes(sender));
}

/**
 * Whether a filter lets an event of a room through; for the room itself see `matchesRooms`.
 *
 * @param relating what relates to the event, where the filter has `related_by_senders` or
 *   `related_by_rel_types`: an event about which that is not known does not pass them.
 * @spec client-server-api#filtering
 */
export function matchesRoomEventFilter(
  filter: RoomEventFilter | undefined,
  event: Filterable,
  relating?: Relating,
): boolean {
  if (!filter) return true;
  if (!matchesEventFilter(filter, event)) return false;
  const { contains_url } = filter;
  if (contains_url !== undefined && contains_url !== containsUrl(event)) return false;
  if (!matchesRelType(filter, event)) return false;
  const { related_by_senders, related_by_rel_types } = filter;
  return (
    (!related_by_senders || related_by_senders.some((it) => relating?.senders.has(it))) &&
    (!related_by_rel_types || related_by_rel_types.some((it) => relating?.relTypes.has(it)))
  );
}

/** Whether a filter asks what relates to events. */
export function asksRelating(filter: RoomEventFilter | undefined): boolean {
  return (filter?.related_by_senders ?? filter?.related_by_rel_types) !== undefined;
}

function containsUrl(event: Filterable): boolean {
  const content = contentOf(event);
  return (
    content !== undefined && Object.hasOwn(content, "url") && typeof content["url"] === "string"
  );
}

function contentOf({ content, redactedBy }: Filterable): Filterable["content"] {
  return redactedBy === undefined ? content : undefined;
}

/** MSC3874: by what the event itself relates to another as. */
function matchesRelType(filter: RoomEventFilter, event: Filterable): boolean {
  const wanted = filter["org.matrix.msc3874.rel_types"];
  const unwanted = filter["org.matrix.msc3874.not_rel_types"];
  if (!wanted && !unwanted) return true;
  const relation = contentOf(event)?.["m.relates_to"];
  const relType =
    typeof relation === "object" && relation !== null
      ? (relation as Record<string, unknown>)["rel_type"]
      : undefined;
  if (typeof relType !== "string") return !wanted;
  return !unwanted?.includes(relType) && (!wanted || wanted.includes(relType));
}

/** Whether a filter may keep events back; one that sets a limit and no more does not. */
export function isNarrow(filter: EventFilter | undefined): boolean {
  return filter !== undefined && Object.keys(filter).some((it) => it !== "limit");
}

/** Whether a filter, or the part of it that is for rooms, lets a room through. */
export function matchesRooms(
  filter:
    | {
        readonly rooms?: readonly string[] | undefined;
        readonly not_rooms?: readonly string[] | undefined;
      }
    | undefined,
  roomId: string,
): boolean {
  if (filter?.not_rooms?.includes(roomId)) return false;
  return !filter?.rooms || filter.rooms.includes(roomId);
}
