import { z } from "zod";

/** A body that at most gives a reason. */
export const WithReason = z.object({ reason: z.string().optional() });

/** A body that names a user, and maybe a reason. */
export const WithUser = z.object({ user_id: z.string(), reason: z.string().optional() });
