import type { Homeserver } from "#src/homeserver/homeserver.ts";
import { MatrixError } from "#src/kit/matrix-error.ts";
import type { Requester } from "#src/kit/requester.ts";
import type { Pusher, PusherSettings } from "./pusher.ts";
import {
  countPushers,
  deletePusher,
  deletePushersOfOthers,
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
const GATEWAY_PATH = "/_matrix/push/v1/notify";

/** The pushers of a user, the oldest first. */
export async function pushersOf(hs: Homeserver, requester: Requester): Promise<readonly Pusher[]> {
  return await pushersOfUser(hs.sql, requester.userKey);
}

/**
 * Makes a pusher of the requester's device, or changes one.
 *
 * @throws MatrixError M_INVALID_PARAM for a kind that there is not, a gateway that none can be, or what is too long.
 * @spec client-server-api#post_matrixclientv3pushersset
 */
export async function setPusher(
  hs: Homeserver,
  { userKey, userId, deviceKey }: Requester,
  wanted: WantedPusher,
): Promise<void> {
  const { append, kind, ...settings } = wanted;
  const { appId, pushkey, data } = settings;
  requireName(appId, pushkey);
  if (kind !== "http") throw invalid("Unknown kind of pusher");
  requireGateway(hs, data["url"]);
  if (JSON.stringify(data).length > LONGEST_DATA) throw invalid("The pusher's data is too long");
  const name = { userKey, appId, pushkey };
  await hs.sql.begin(async (tx) => {
    if (!append) await deletePushersOfOthers(tx, name);
    await upsertPusher(tx, { userKey, deviceKey }, { ...settings, kind, setMs: hs.now() });
    if ((await countPushers(tx, userKey)) > MOST_PUSHERS) {
      throw invalid(`You have ${MOST_PUSHERS} pushers already`);
    }
  });
  hs.log.info({ userId, appId }, "set a pusher");
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
