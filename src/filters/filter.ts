import { z } from "zod";

const userIds = z.array(z.string().regex(/^@[^:]*:./, "Not a user ID"));
const roomIds = z.array(z.string().regex(/^!./, "Not a room ID"));
const types = z.array(z.string());

const EventFilter = z.object({
  limit: z.int().min(0).optional(),
  types: types.optional(),
  not_types: types.optional(),
  senders: userIds.optional(),
  not_senders: userIds.optional(),
});

/** Also the filter of `/messages` and `/context`, which is for the events of one room. */
export const RoomEventFilter = EventFilter.extend({
  rooms: roomIds.optional(),
  not_rooms: roomIds.optional(),
  contains_url: z.boolean().optional(),
  lazy_load_members: z.boolean().optional(),
  include_redundant_members: z.boolean().optional(),
  unread_thread_notifications: z.boolean().optional(),
  "org.matrix.msc3773.unread_thread_notifications": z.boolean().optional(),
  related_by_senders: userIds.optional(),
  related_by_rel_types: types.optional(),
  "org.matrix.msc3874.rel_types": types.optional(),
  "org.matrix.msc3874.not_rel_types": types.optional(),
});

/**
 * What a client wants to hear of. Keys that we do not know are left to the client's next server.
 *
 * @spec client-server-api#filtering
 */
export const Filter = z.object({
  event_fields: z.array(z.string()).optional(),
  event_format: z.enum(["client", "federation"]).optional(),
  presence: EventFilter.optional(),
  account_data: EventFilter.optional(),
  /** MSC4429: the fields of others' profiles of whose changes the client wants to hear. */
  "org.matrix.msc4429.profile_fields": z.object({ ids: z.array(z.string()).optional() }).optional(),
  room: z
    .object({
      rooms: roomIds.optional(),
      not_rooms: roomIds.optional(),
      include_leave: z.boolean().optional(),
      ephemeral: RoomEventFilter.optional(),
      state: RoomEventFilter.optional(),
      timeline: RoomEventFilter.optional(),
      account_data: RoomEventFilter.optional(),
    })
    .optional(),
});

export type EventFilter = z.infer<typeof EventFilter>;
export type RoomEventFilter = z.infer<typeof RoomEventFilter>;
export type Filter = z.infer<typeof Filter>;

/** The filter of those that want no filter. */
export const NO_FILTER: Filter = {};

/**
 * How many events a client may get at once.
 *
 * @param limits what it gets if it names no number, and the most that it gets whatever it names.
 */
export function limitOf(
  filter: EventFilter | undefined,
  limits: { readonly standard: number; readonly most: number },
): number {
  return Math.min(filter?.limit ?? limits.standard, limits.most);
}

/** Whether the counts of unread events are to be told apart by thread. */
export function wantsThreadCounts(filter: Filter): boolean {
  const timeline = filter.room?.timeline;
  return (
    timeline?.unread_thread_notifications === true ||
    timeline?.["org.matrix.msc3773.unread_thread_notifications"] === true
  );
}
