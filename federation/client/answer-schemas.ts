import { z } from "zod";
import type { RawPdu } from "#src/homeserver/remotes.ts";
import type { EventId, RoomId, UserId } from "#src/kit/identifiers.ts";
import { parseEventId, parseRoomId, parseUserId } from "#src/kit/identifiers.ts";
import { JsonObject } from "#src/kit/json-object.ts";

/** More events than any room's state and the events that authorise it. */
const MOST_EVENTS = 1_000_000;

/** Events, none of which has been looked at. In one function, since there may be very many. */
export const RawPdus = z.custom<readonly RawPdu[]>(
  (value) =>
    Array.isArray(value) &&
    value.length <= MOST_EVENTS &&
    value.every((it) => typeof it === "object" && it !== null && !Array.isArray(it)),
  "must be a list of events",
);

/** An object of which some servers write what is absent as null. */
export function wireObject<Shape extends z.ZodRawShape>(shape: Shape) {
  return z.preprocess(withoutNulls, z.object(shape));
}

function withoutNulls(value: unknown): unknown {
  const object = JsonObject.safeParse(value).data;
  if (!object) return value;
  return Object.fromEntries(Object.entries(object).filter(([, it]) => it !== null));
}

/** An object as a Map: its keys are another server's. */
export function mapOf<T>(item: z.ZodType<T>, most = 10_000) {
  return JsonObject.transform((object): readonly [string, unknown][] => Object.entries(object))
    .pipe(z.array(z.tuple([z.string(), item])).max(most))
    .transform((entries): ReadonlyMap<string, T> => new Map(entries));
}

export const AnEventId = identifier<EventId>(parseEventId);
export const ARoomId = identifier<RoomId>(parseRoomId);
export const AUserId = identifier<UserId>(parseUserId);

/** Event IDs, in one function as events are. */
export const EventIds = z.custom<readonly EventId[]>(
  (value) =>
    Array.isArray(value) &&
    value.length <= MOST_EVENTS &&
    value.every((it) => typeof it === "string" && /^\$[^\0]{1,254}$/.test(it)),
  "must be a list of event IDs",
);

function identifier<T extends string>(parse: (value: string) => T) {
  return z.custom<T>((value) => {
    try {
      return typeof value === "string" && parse(value) === value;
    } catch {
      // Said by the schema.
      return false;
    }
  }, "must be an identifier");
}
