import { held } from "#src/homeserver/held.ts";
import type { Homeserver } from "#src/homeserver/homeserver.ts";
import { tailOf } from "#src/streams/tail.ts";

/** The name of the stream of accounts, which may change who wants to be erased. */
const ACCOUNTS = "accounts";

type Kept = { users: Promise<ReadonlySet<number>> | undefined };

const keptOf = held((hs): Kept => {
  const kept: Kept = { users: undefined };
  const forget = () => {
    kept.users = undefined;
  };
  tailOf(hs).listen({
    changed(changes) {
      if (changes.some((it) => it.stream === ACCOUNTS)) forget();
    },
    missed: forget,
  });
  return kept;
});

/**
 * The keys of the users of this server who wanted, when they left, that what they have said is shown to nobody
 * who was not there when they said it. Those are few.
 *
 * @spec client-server-api#account-deactivation
 */
export async function erasedUsers(hs: Homeserver): Promise<ReadonlySet<number>> {
  const kept = keptOf(hs);
  const loading = (kept.users ??= load(hs));
  try {
    return await loading;
  } catch (error) {
    if (kept.users === loading) kept.users = undefined;
    throw error;
  }
}

async function load(hs: Homeserver): Promise<ReadonlySet<number>> {
  const rows = await hs.sql<{ user_key: number }[]>`
    select user_key from accounts where is_erased`;
  return new Set(rows.map((it) => it.user_key));
}
