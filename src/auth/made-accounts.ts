import type { Tx } from "#src/homeserver/database.ts";
import type { Homeserver } from "#src/homeserver/homeserver.ts";
import type { UserId } from "#src/kit/identifiers.ts";
import { userIdsOf } from "#src/rooms/user-keys.ts";
import { checkPassword } from "./check-password.ts";
import { madeIn, noteMade } from "./queries-uia.ts";
import { bindingOf, type InteractiveCall } from "./user-interactive.ts";

/** Who has registered. */
export type Made = { readonly userKey: number; readonly userId: UserId };

/** Remembers for a while, for the client's session, which account is made by a request, in the transaction that makes it. */
export async function rememberMade(
  tx: Tx,
  call: InteractiveCall,
  { userKey }: Made,
): Promise<void> {
  const { session } = call.body.auth ?? {};
  if (session !== undefined) await noteMade(tx, session, userKey);
}

/**
 * The account that the same request has made before: whoever has lost the answer asks again, and would be told that
 * the user name is taken.
 *
 * @param password which must still be the account's.
 */
export async function madeBefore(
  hs: Homeserver,
  call: InteractiveCall,
  password: string | undefined,
): Promise<Made | undefined> {
  const { session } = call.body.auth ?? {};
  if (session === undefined || password === undefined) return undefined;
  const row = await madeIn(hs.sql, session, hs.now());
  if (!row?.bodyHash.equals(bindingOf(call, "register").bodyHash)) return undefined;
  const userId = (await userIdsOf(hs, [row.userKey])).get(row.userKey);
  return await checkPassword(hs, userId, password);
}
