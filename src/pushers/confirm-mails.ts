import type { Homeserver } from "#src/homeserver/homeserver.ts";
import type { LinkedPusher } from "./mail-links.ts";
import { confirmPusher, deletePusherByKey } from "./queries-pushers.ts";

/** Begins to send a user e-mails: whoever has the address wants them. */
export async function confirmMails(hs: Homeserver, pusher: LinkedPusher): Promise<void> {
  await confirmPusher(hs.sql, pusher.pusherKey, hs.now());
  hs.log.info({ userId: pusher.userId }, "e-mails to an address are wanted");
}

/** Sends a user no more e-mails. */
export async function stopMails(hs: Homeserver, pusher: LinkedPusher): Promise<void> {
  await deletePusherByKey(hs.sql, pusher.pusherKey);
  hs.log.info({ userId: pusher.userId }, "e-mails to an address are not wanted");
}
