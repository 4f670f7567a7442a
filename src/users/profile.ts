import type { Homeserver } from "#src/homeserver/homeserver.ts";
import type { UserId } from "#src/kit/identifiers.ts";

/** The parts of a profile that member events carry. */
export type ShownProfile = { readonly displayname?: string; readonly avatar_url?: string };

/** The name and picture of a user of this server, as rooms show them. */
export async function profileOf(hs: Homeserver, userId: UserId): Promise<ShownProfile> {
  const [row] = await hs.sql<{ displayname: string | null; avatar_url: string | null }[]>`
    select displayname, avatar_url from profiles join users using (user_key)
    where user_id = ${userId}`;
  return {
    ...(row?.displayname != null && { displayname: row.displayname }),
    ...(row?.avatar_url != null && { avatar_url: row.avatar_url }),
  };
}
