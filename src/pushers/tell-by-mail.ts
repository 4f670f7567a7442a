import type { Homeserver } from "#src/homeserver/homeserver.ts";
import { sendMail } from "#src/outbound/send-mail.ts";
import { notableEvents } from "#src/push/notable-events.ts";
import { mailLink } from "./mail-links.ts";
import { type MailItem, unreadMail } from "./mail-texts.ts";
import { toldWithNames } from "./notification-names.ts";
import type { Told } from "./notification.ts";
import type { Owed, Progress } from "./progress.ts";
import type { OwedPusher } from "./pusher.ts";

const DAY_MS = 24 * 60 * 60 * 1000;
const LONGEST_TEXT = 500;

/**
 * Tells a user by e-mail of what they have not read after a while: all of it in one. After one the next waits,
 * each time twice as long, until there was a longer pause.
 *
 * @returns how long to wait until it is time; 0 if there is nothing to wait for.
 * @throws OutboundError
 */
export async function tellByMail(
  hs: Homeserver,
  pusher: OwedPusher,
  { owed, reached }: Owed,
  progress: Progress,
): Promise<number> {
  const noted = await notableEvents(hs, pusher, owed);
  const unread = noted.filter((it) => !it.isRead);
  const [oldest] = unread;
  if (!oldest) {
    progress.upTo = reached;
    return 0;
  }
  const now = hs.now();
  const { mailDelayMs } = hs.config.push;
  // Clocks of others may be wrong.
  const age = Math.max(0, now - oldest.event.originServerTs);
  const sinceLast = now - pusher.mailedMs;
  const waitMs = Math.max(mailDelayMs - age, pusher.mailGapMs - sinceLast);
  if (waitMs > 0) return Math.min(waitMs, DAY_MS);

  const told = await Promise.all(unread.map(async (it) => await toldWithNames(hs, pusher, it)));
  const stopLink = mailLink(hs, pusher);
  const items = told.map((it) => itemOf(hs, it));
  await sendMail(hs, {
    to: pusher.pushkey,
    unsubscribeUrl: stopLink,
    ...unreadMail(items, { server: hs.name, stopLink }),
  });
  const isSoon = sinceLast < 2 * pusher.mailGapMs;
  progress.mailGapMs = isSoon ? Math.min(2 * pusher.mailGapMs, DAY_MS) : mailDelayMs;
  progress.mailedMs = now;
  progress.upTo = reached;
  return 0;
}

function itemOf(hs: Homeserver, it: Told): MailItem {
  const { event, roomId, senderName, roomName, roomAlias } = it;
  const base = hs.config.push.webClientUrl.replace(/[/#]*$/, "");
  const place = `${encodeURIComponent(roomId)}/${encodeURIComponent(event.eventId)}`;
  const isMatrixTo = new URL(base).hostname === "matrix.to";
  return {
    roomId,
    roomName: roomName ?? roomAlias ?? senderName ?? event.sender,
    sender: senderName ?? event.sender,
    text: textOf(it),
    link: `${base}/#/${isMatrixTo ? "" : "room/"}${place}`,
  };
}

/** What is said; of what we cannot or had better not show, that it is there. */
function textOf({ event }: Told): string {
  const { type, content } = event;
  if (type === "m.room.member") return "invites you";
  if (type === "m.room.encrypted") return "an encrypted message";
  const { body } = content;
  return typeof body === "string" && body !== "" ? body.slice(0, LONGEST_TEXT) : "something new";
}
