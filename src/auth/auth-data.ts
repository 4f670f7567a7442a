import { z } from "zod";
import { UserIdentifier } from "./identify-user.ts";

/**
 * What a client says in `auth` to prove that it may do something. The body of every operation that
 * needs it has it, optionally.
 *
 * @spec client-server-api#user-interactive-api-in-the-rest-api
 */
export const AuthData = z.object({
  /** Left out when the client only asks whether all has been proved. */
  type: z.string().optional(),
  session: z.string().optional(),
  identifier: UserIdentifier.optional(),
  user: z.string().optional(),
  password: z.string().optional(),
  token: z.string().optional(),
});

export type AuthData = z.infer<typeof AuthData>;
