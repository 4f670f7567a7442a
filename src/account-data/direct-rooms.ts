import { z } from "zod";
import type { Homeserver } from "#src/homeserver/homeserver.ts";
import { cachedByUser } from "#src/streams/cached-by-user.ts";
import { ACCOUNT_DATA, type AccountDataDetail } from "./account-data-stream.ts";
import { NO_ROOM } from "./account-data.ts";
import { accountDataContent } from "./queries-account-data.ts";

const DIRECT = "m.direct";

/** Clients put other things into it too. */
const Direct = z.record(z.string(), z.unknown());

/**
 * The IDs of the rooms that a user holds for conversations with one person.
 *
 * @spec client-server-api#direct-messaging
 */
export const directRoomsOf: (hs: Homeserver, userKey: number) => Promise<ReadonlySet<string>> =
  cachedByUser({
    most: 50_000,
    forgottenBy: ({ stream, detail }) =>
      stream === ACCOUNT_DATA && (detail as AccountDataDetail).type === DIRECT,
    async load(hs, userKey) {
      const key = { userKey, roomKey: NO_ROOM, type: DIRECT };
      const content = await accountDataContent(hs.sql, key);
      if (content === undefined) return new Set();
      const byUser = Direct.safeParse(JSON.parse(content)).data ?? {};
      return new Set(
        Object.values(byUser)
          .flat()
          .filter((it) => typeof it === "string"),
      );
    },
  });
