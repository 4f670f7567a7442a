import type { Queryable } from "#src/homeserver/database.ts";
import { serverNameOf, type UserId } from "#src/kit/identifiers.ts";

/**
 * Makes sure that a database is that of the server which we are told to be. Its users and what they have sent
 * would be strangers to another one.
 *
 * @throws Error that says which name the server has.
 */
export async function requireServerName(sql: Queryable, configured: string): Promise<void> {
  const [row] = await sql<{ user_id: UserId }[]>`select user_id from users where local limit 1`;
  if (!row) return;
  const name = serverNameOf(row.user_id);
  if (name === configured) return;
  throw new Error(
    `The users in this database are of ${name}, and serverName (ARCHIPEL_SERVER_NAME) is ${configured}: ` +
      `set it to ${name}, or take another database. The name of a server that has users cannot be changed.`,
  );
}
