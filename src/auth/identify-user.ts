import { z } from "zod";
import type { Homeserver } from "#src/homeserver/homeserver.ts";
import { parseUserId, serverNameOf, type UserId } from "#src/kit/identifiers.ts";
import { MatrixError } from "#src/kit/matrix-error.ts";

/** Who is meant, in the ways that clients say it. @spec client-server-api#identifier-types */
export const UserIdentifier = z.object({ type: z.string(), user: z.string().optional() });

export type Identification = {
  readonly identifier?: z.infer<typeof UserIdentifier> | undefined;
  /** The older way to name a user. */
  readonly user?: string | undefined;
};

/**
 * The user of this server that is meant, by the user ID or its localpart, in whatever case: those that
 * we make are in lower case.
 *
 * @returns undefined if it can be none of ours, as with an address, which no account here has.
 * @throws MatrixError M_INVALID_PARAM if nobody is named, or in a way that we do not know.
 */
export function identifiedUser(
  hs: Homeserver,
  { identifier, user }: Identification,
): UserId | undefined {
  const type = identifier?.type ?? "m.id.user";
  if (type === "m.id.thirdparty" || type === "m.id.phone") return undefined;
  if (type !== "m.id.user") {
    throw new MatrixError("M_INVALID_PARAM", "Unknown type of user identifier");
  }
  const name = identifier?.user ?? user;
  if (name === undefined) throw new MatrixError("M_INVALID_PARAM", "No user is named");
  if (!name.startsWith("@")) return parsed(`@${name.toLowerCase()}:${hs.name}`);
  const userId = parsed(name);
  if (!userId || serverNameOf(userId) !== hs.name) return undefined;
  return parsed(`${name.slice(0, name.indexOf(":")).toLowerCase()}:${hs.name}`);
}

function parsed(value: string): UserId | undefined {
  try {
    return parseUserId(value);
  } catch (error) {
    if (error instanceof MatrixError) return undefined;
    throw error;
  }
}
