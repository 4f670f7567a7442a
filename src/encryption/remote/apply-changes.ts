import type { Homeserver } from "#src/homeserver/homeserver.ts";
import type { UserId } from "#src/kit/identifiers.ts";
import { findUserKeys } from "#src/rooms/user-keys.ts";
import { write } from "#src/streams/write.ts";
import { encryptionStream } from "../encryption-stream.ts";
import { listStandings } from "./queries-remote-lists.ts";
import { refreshLists } from "./refresh-lists.ts";
import type { RemoteChange } from "./remote-list.ts";

/** How long a list that nobody here has asked for yet may take to come. */
const TIMEOUT_MS = 30_000;

/**
 * Takes in what a server tells of changes to its users' devices: those who share a room with the user
 * hear of it. Of users with whom nobody here shares a room it is not kept.
 *
 * Where something was missed, all of the list is asked for, which is not waited for.
 *
 * @spec server-server-api#device-management
 */
export async function applyRemoteChanges(
  hs: Homeserver,
  changes: ReadonlyMap<UserId, readonly RemoteChange[]>,
): Promise<void> {
  const userKeys = await findUserKeys(hs, changes.keys());
  const standings = await listStandings(hs.sql, [...userKeys.values()]);
  const shared = new Set(standings.filter((it) => it.sharedSince !== null).map((it) => it.userKey));
  const stale: UserId[] = [];
  await Promise.all(
    [...changes].map(async ([userId, its]) => {
      const userKey = userKeys.get(userId);
      if (userKey === undefined || !shared.has(userKey)) return;
      const told = { kind: "remote-changes", userKey, changes: its } as const;
      const { isStale } = await write(hs, encryptionStream, told);
      if (isStale) stale.push(userId);
    }),
  );
  void refreshLists(hs, stale, TIMEOUT_MS).catch((error: unknown) => {
    // Whoever asks for the keys next has it tried again.
    if (!hs.stopping.aborted) hs.log.warn({ err: error }, "cannot renew lists of devices");
  });
}
