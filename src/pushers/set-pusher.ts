import { z } from "zod";
import type { Homeserver } from "#src/homeserver/homeserver.ts";
import type { UserId } from "#src/kit/identifiers.ts";
import { MatrixError } from "#src/kit/matrix-error.ts";
import type { Requester } from "#src/kit/requester.ts";
import { canSendMail, sendMail } from "#src/outbound/send-mail.ts";
import { unreadTotal } from "#src/push/unread-total.ts";
import { mailLink } from "./mail-links.ts";
import { confirmationMail } from "./mail-texts.ts";
import type { Pusher, PusherKind, PusherSettings } from "./pusher.ts";
import {
  countPushers,
  countUnconfirmed,
  deletePusher,
  deletePusherByKey,
  deletePushersOfOthers,
  lockPushkey,
  pushersOfUser,
  upsertPusher,
} from "./queries-pushers.ts";

/** What a client says of a pusher, as far as it says it. */
export type WantedPusher = Omit<PusherSettings, "kind"> & {
  readonly kind: string;
  /** Whether other users may have one for the same pushkey. */
  readonly append: boolean;
};

/** More than all devices that one has, and not so many that telling one user keeps others waiting. */
const MOST_PUSHERS = 100;
const LONGEST_DATA = 16_384;

/** Nobody is to have us write to many whom they do not know. */
const MOST_UNCONFIRMED = 3;
const GATEWAY_PATH = "/_matrix/push/v1/notify";

/** The pushers of a user, the oldest first. */
export async function pushersOf(hs: Homeserver, requester: Requester): Promise<readonly Pusher[]> {
  return await pushersOfUser(hs.sql, requester.userKey);
}

/**
 * Makes a pusher of the requester's device, or changes one. One by e-mail waits until who has the address says,
 * over a link that is sent there, that they want it.
 *
 * @throws MatrixError M_INVALID_PARAM for a kind that there is not, a gateway that none can be, or what is too long;
 *   M_UNKNOWN (502) if no e-mail can be sent to the address; M_UNKNOWN_TOKEN if the device has been deleted meanwhile.
 * @spec client-server-api#post_matrixclientv3pushersset
 */
export async function setPusher(
  hs: Homeserver,
  { userKey, userId, deviceKey }: Requester,
  wanted: WantedPusher,
): Promise<void> {
  const { append, ...settings } = wanted;
  const { appId, pushkey, data } = settings;
  requireName(appId, pushkey);
  if (JSON.stringify(data).length > LONGEST_DATA) throw invalid("The pusher's data is too long");
  const kind = requireKind(hs, settings);
  const name = { userKey, appId, pushkey };
  // By which the client knows how much is unread: it is told of what becomes of that.
  const unread = await unreadTotal(hs, { userKey, userId });
  const { pusherKey, isConfirmed } = await hs.sql.begin(async (tx) => {
    if (!(await lockPushkey(tx, deviceKey, name))) {
      throw new MatrixError("M_UNKNOWN_TOKEN", "The device has been deleted");
    }
    if (!append) await deletePushersOfOthers(tx, name);
    const its = { ...settings, kind, unread, setMs: hs.now() };
    const set = await upsertPusher(tx, { userKey, deviceKey }, its);
    if ((await countPushers(tx, userKey)) > MOST_PUSHERS) {
      throw invalid(`You have ${MOST_PUSHERS} pushers already`);
    }
    if ((await countUnconfirmed(tx, userKey)) > MOST_UNCONFIRMED) {
      throw invalid("Too many of your addresses have not been confirmed yet");
    }
    return set;
  });
  hs.log.info({ userId, appId, kind }, "set a pusher");
  if (kind !== "email" || isConfirmed) return;
  await askForConfirmation(hs, { pusherKey, pushkey, userId });
}

/** @throws MatrixError M_INVALID_PARAM, M_MISSING_PARAM */
function requireKind(
  hs: Homeserver,
  { kind, appId, pushkey, data }: Pick<WantedPusher, "kind" | "appId" | "pushkey" | "data">,
): PusherKind {
  if (kind === "http") {
    requireGateway(hs, data["url"]);
    return kind;
  }
  if (kind !== "email") throw invalid("Unknown kind of pusher");
  if (!canSendMail(hs)) throw invalid("This server sends no e-mails");
  if (appId !== "m.email") throw invalid("The app_id of a pusher by e-mail is m.email");
  if (!z.email().safeParse(pushkey).success) throw invalid("The pushkey is no e-mail address");
  return kind;
}

async function askForConfirmation(
  hs: Homeserver,
  { pusherKey, pushkey, userId }: { pusherKey: number; pushkey: string; userId: UserId },
): Promise<void> {
  const link = mailLink(hs, { pusherKey, pushkey });
  try {
    await sendMail(hs, { to: pushkey, ...confirmationMail({ userId, server: hs.name, link }) });
  } catch (cause) {
    await deletePusherByKey(hs.sql, pusherKey);
    hs.log.warn({ err: cause, userId }, "an e-mail could not be sent");
    const message = "No e-mail could be sent to the address";
    throw new MatrixError("M_UNKNOWN", message, { status: 502, cause });
  }
}

/** Takes a pusher back, if there is one. */
export async function removePusher(
  hs: Homeserver,
  { userKey, userId }: Requester,
  { appId, pushkey }: { readonly appId: string; readonly pushkey: string },
): Promise<void> {
  requireName(appId, pushkey);
  await deletePusher(hs.sql, { userKey, appId, pushkey });
  hs.log.info({ userId, appId }, "removed a pusher");
}

function requireName(appId: string, pushkey: string): void {
  if (appId === "" || appId.length > 64) throw invalid("An app_id has 1 to 64 characters");
  const bytes = Buffer.byteLength(pushkey);
  if (bytes === 0 || bytes > 512) throw invalid("A pushkey has 1 to 512 bytes");
}

/** That it leads to no address of ours is seen to when it is connected to. */
function requireGateway(hs: Homeserver, url: unknown): void {
  if (typeof url !== "string") throw new MatrixError("M_MISSING_PARAM", "Missing data.url");
  const { protocol, pathname } = URL.canParse(url) ? new URL(url) : { protocol: "", pathname: "" };
  const isAllowed = protocol === "https:" || (protocol === "http:" && hs.config.push.plainHttp);
  if (!isAllowed || pathname !== GATEWAY_PATH) {
    throw invalid(`data.url must be an HTTPS URL with the path ${GATEWAY_PATH}`);
  }
}

function invalid(message: string): MatrixError {
  return new MatrixError("M_INVALID_PARAM", message);
}
