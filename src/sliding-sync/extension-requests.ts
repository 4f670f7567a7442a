import { z } from "zod";

/** Null is as good as nothing. */
const optional = <T>(schema: z.ZodType<T>) => schema.nullish().transform((it) => it ?? undefined);

const names = optional(z.array(z.string()).max(1_000));
const enabled = optional(z.boolean());
const limit = optional(z.int().min(0));

/** Which of the rooms of the answer an extension is to speak of: those of some lists and subscriptions. */
const ofRooms = z.object({ enabled, lists: names, rooms: names });

export type RoomScope = {
  readonly lists?: readonly string[] | undefined;
  readonly rooms?: readonly string[] | undefined;
};

/** What a client wants to be told beside rooms: MSC3884, 3885, 3959, 3960, 3961, 4262, 4308, 4480. */
export const ExtensionRequests = z.object({
  to_device: optional(z.object({ enabled, limit, since: optional(z.string()) })),
  e2ee: optional(z.object({ enabled })),
  account_data: optional(ofRooms),
  receipts: optional(ofRooms),
  typing: optional(ofRooms),
  "org.matrix.msc4262.profiles": optional(ofRooms.extend({ fields: names })),
  "io.element.msc4308.thread_subscriptions": optional(z.object({ enabled, limit })),
  "org.matrix.msc4354.sticky_events": optional(
    z.object({ enabled, limit: optional(z.int().min(1)), since: optional(z.string()) }),
  ),
});

export type ExtensionRequests = Partial<z.output<typeof ExtensionRequests>>;
