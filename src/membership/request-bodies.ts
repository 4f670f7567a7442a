import { z } from "zod";
import { REDACT_EVENTS } from "#src/rooms/mass-redaction/removal.ts";

/** Why, for people to read. Clients that know of no reason leave it out, or say null: bots do. */
export const Reason = z
  .string()
  .nullish()
  .transform((it) => it ?? undefined);

/**
 * A body that at most gives a reason. One of null gives none: clients in Go write so what they have not, and shoutrrr could
 * join no room that it is to tell of something.
 */
export const WithReason = z
  .object({ reason: Reason })
  .nullable()
  .transform((it) => it ?? { reason: undefined });

/** A body that names a user who is to be removed: also whether what they sent is redacted. */
export const WithRemoved = z.object({
  user_id: z.string(),
  reason: Reason,
  [REDACT_EVENTS]: z.boolean().optional(),
});

/** A body that names a user, and maybe a reason. */
export const WithUser = z.object({ user_id: z.string(), reason: Reason });
