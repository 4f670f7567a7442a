import type { Homeserver } from "#src/homeserver/homeserver.ts";
import type { UserId } from "#src/kit/identifiers.ts";
import { findUserKeys } from "#src/rooms/user-keys.ts";
import { write } from "#src/streams/write.ts";
import { presenceStream } from "./presence-stream.ts";
import type { PresenceState } from "./presence.ts";
import { usersWithUs } from "./queries-presence.ts";

/** What another server says of one of its users. */
export type ToldPresence = {
  readonly userId: UserId;
  readonly state: PresenceState;
  readonly statusMsg: string | undefined;
  readonly lastActiveAgoMs: number;
};

/**
 * Takes in what another server says of its users: of those with whom somebody here shares a room.
 *
 * @spec server-server-api#presence
 */
export async function receivePresence(
  hs: Homeserver,
  told: readonly ToldPresence[],
): Promise<void> {
  if (!hs.config.presence.enabled || told.length === 0) return;
  const userKeys = await findUserKeys(
    hs,
    told.map((it) => it.userId),
  );
  const sharing = new Set(await usersWithUs(hs.sql, [...userKeys.values()]));
  const now = hs.now();
  await Promise.all(
    told.map(async ({ userId, state, statusMsg, lastActiveAgoMs }) => {
      const userKey = userKeys.get(userId);
      if (userKey === undefined || !sharing.has(userKey)) return;
      const lastActiveMs = Math.max(0, now - lastActiveAgoMs);
      const act = { kind: "told", state, statusMsg, lastActiveMs } as const;
      await write(hs, presenceStream, { userKey, local: false, act, now });
    }),
  );
}
