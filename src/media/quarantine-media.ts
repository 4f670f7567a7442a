import type { Homeserver } from "#src/homeserver/homeserver.ts";
import type { Requester } from "#src/kit/requester.ts";
import { type Mxc, mxcUri } from "./mxc.ts";
import { deleteQuarantine, insertQuarantine } from "./queries-quarantine.ts";

/**
 * Takes media out of sight of everybody: it and its thumbnails are served to nobody any more, by any process, and
 * another server's is not fetched again. The file stays where it is. May be done before there is such media.
 */
export async function quarantineMedia(
  hs: Homeserver,
  administrator: Requester,
  mxc: Mxc,
): Promise<void> {
  const about = { byUserKey: administrator.userKey, now: hs.now() };
  if (!(await insertQuarantine(hs.sql, mxc, about))) return;
  hs.log.info({ media: mxcUri(mxc), by: administrator.userId }, "media quarantined");
}

/** Has media served again. */
export async function liftQuarantine(
  hs: Homeserver,
  administrator: Requester,
  mxc: Mxc,
): Promise<void> {
  if (!(await deleteQuarantine(hs.sql, mxc))) return;
  hs.log.info({ media: mxcUri(mxc), by: administrator.userId }, "media out of quarantine");
}
