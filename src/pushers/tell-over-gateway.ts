import type { Homeserver } from "#src/homeserver/homeserver.ts";
import { JsonObject } from "#src/kit/json-object.ts";
import { notableEvents } from "#src/push/notable-events.ts";
import { unreadTotal } from "#src/push/unread-total.ts";
import { tailOf } from "#src/streams/tail.ts";
import { toldWithNames } from "./notification-names.ts";
import { notificationOf, type Told } from "./notification.ts";
import type { Owed, Progress } from "./progress.ts";
import type { OwedPusher } from "./pusher.ts";
import { sendToGateway } from "./send-to-gateway.ts";

/** For how long it is worth while to tell somebody of an event, after telling has failed. */
const WORTH_TELLING_MS = 24 * 60 * 60 * 1000;

/** How long a turn may take until the next: by far less than a lease lasts. */
const LONGEST_TURN_MS = 40_000;

/** By which a client says that it counts itself (MSC4076). */
const NO_COUNTS = "org.matrix.msc4076.disable_badge_count";

/**
 * Tells a user over a push gateway what they are owed: of each event of which their rules say so and that they have
 * not read yet; and if there is none, of how much is unread, should that be less than they were told.
 *
 * @param progress moved on as they are told, so that it is true also after a failure.
 * @returns false if the gateway says that there is nobody.
 * @throws OutboundError, or what else keeps it from being told.
 */
export async function tellOverGateway(
  hs: Homeserver,
  pusher: OwedPusher,
  { owed, reached }: Owed,
  progress: Progress,
): Promise<boolean> {
  const settings = JsonObject.parse(JSON.parse(pusher.data));
  const url = typeof settings["url"] === "string" ? settings["url"] : "";
  // What they are owed may be of another process, and this one has not heard of it yet.
  await tailOf(hs).hasReached(pusher.owedUpTo);
  const unread = await unreadTotal(hs, pusher);
  const tell = async (told?: Told): Promise<boolean> => {
    const notification = notificationOf({ ...pusher, settings }, unread, told);
    return !(await sendToGateway(hs, url, notification)).includes(pusher.pushkey);
  };
  const tellCount = async (): Promise<boolean> => {
    const isNews = unread !== (progress.unread ?? 0) && settings[NO_COUNTS] !== true;
    if (isNews && !(await tell())) return false;
    progress.unread = unread;
    return true;
  };

  const positions = new Map(owed.map((it) => [it.eventKey, it.position]));
  const since = pusher.failures > 0 ? hs.now() - WORTH_TELLING_MS : 0;
  const begun = performance.now();
  const noted = await notableEvents(hs, pusher, owed);
  for (const it of noted.filter(({ isRead, event }) => !isRead && event.originServerTs >= since)) {
    if (!(await tell(await toldWithNames(hs, pusher, it)))) return false;
    progress.upTo = positions.get(it.event.eventKey) ?? progress.upTo;
    progress.unread = unread;
    if (performance.now() - begun > LONGEST_TURN_MS) return true;
  }
  // What has made it more since is told of in its turn, with how much it is then.
  const isEarly = unread > (progress.unread ?? 0) && noted.length === 0;
  if (!isEarly && !(await tellCount())) return false;
  progress.upTo = reached;
  return true;
}
