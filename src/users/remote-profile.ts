import { z } from "zod";
import { held } from "#src/homeserver/held.ts";
import type { Homeserver } from "#src/homeserver/homeserver.ts";
import type { UnixMs } from "#src/homeserver/position.ts";
import { serverNameOf, type UserId } from "#src/kit/identifiers.ts";
import { lru } from "#src/kit/lru.ts";
import { MatrixError } from "#src/kit/matrix-error.ts";
import { EVENTS } from "#src/rooms/event-changes.ts";
import { StoredEvent } from "#src/rooms/stored-event.ts";
import { userIdsOf } from "#src/rooms/user-keys.ts";
import { tailOf } from "#src/streams/tail.ts";
import type { Profile } from "./profile.ts";
import { PROFILES } from "./profiles-stream.ts";
import { remoteNameOf } from "./queries-directory.ts";

/** How long an answer is believed, and how long it is known that there was none. */
const BELIEVED_MS = 5 * 60_000;
const FAILED_MS = 15_000;

/** How long a client waits for another server. */
const TIMEOUT_MS = 10_000;

/** As many bytes as a profile of ours may have. @spec client-server-api#profiles */
const MOST_BYTES = 65_536;

/** What a server said, or undefined if it did not; and until when that is believed. */
type Known = {
  readonly profile: Promise<Profile | MatrixError | undefined>;
  untilMs: UnixMs;
};

const knownOf = held((hs) => {
  const known = lru<UserId, Known>(5_000);
  // A new name or picture is told to the rooms that the user is in, so what was said before is over.
  tailOf(hs).listen({
    changed(changes) {
      for (const { stream, userKey, detail } of changes) {
        if (stream === PROFILES && userKey !== undefined) void forgetByKey(hs, known, userKey);
        if (stream !== EVENTS || !(detail instanceof StoredEvent)) continue;
        if (detail.type === "m.room.member") known.delete(detail.stateKey as UserId);
      }
    },
    missed: () => known.clear(),
  });
  return known;
});

/** Their server has told that something has changed. */
async function forgetByKey(
  hs: Homeserver,
  known: { delete(userId: UserId): unknown; readonly size: number },
  userKey: number,
): Promise<void> {
  if (known.size === 0) return;
  try {
    const userId = (await userIdsOf(hs, [userKey])).get(userKey);
    if (userId !== undefined) known.delete(userId);
  } catch (error) {
    // It is believed a little longer then.
    if (!hs.stopping.aborted) hs.log.debug({ err: error }, "cannot see whose profile has changed");
  }
}

/**
 * The profile of a user of another server: as that server says or said a little while ago, or, if it says
 * nothing, the name and picture by which rooms know the user.
 *
 * @throws MatrixError M_NOT_FOUND if there is no such profile; M_FORBIDDEN if the server tells nobody.
 * @spec server-server-api#get_matrixfederationv1queryprofile
 */
export async function remoteProfileOf(hs: Homeserver, userId: UserId): Promise<Profile> {
  const said = await ask(hs, userId);
  if (said instanceof MatrixError) throw said;
  if (said) return said;
  const shown = await remoteNameOf(hs, userId);
  if (shown) return shown;
  throw new MatrixError("M_NOT_FOUND", "The user's server cannot be reached");
}

async function ask(hs: Homeserver, userId: UserId): Promise<Profile | MatrixError | undefined> {
  const all = knownOf(hs);
  const known = all.get(userId);
  if (known && known.untilMs > hs.now()) return await known.profile;
  const asked: Known = { profile: askServer(hs, userId), untilMs: hs.now() + BELIEVED_MS };
  all.set(userId, asked);
  const profile = await asked.profile;
  if (profile === undefined) asked.untilMs = hs.now() + FAILED_MS;
  return profile;
}

async function askServer(
  hs: Homeserver,
  userId: UserId,
): Promise<Profile | MatrixError | undefined> {
  const question = { user_id: userId };
  const options = { timeoutMs: TIMEOUT_MS };
  const answer = await hs.remotes.queryProfile(serverNameOf(userId), question, options);
  if (answer.ok) return readProfile(answer.body);
  if (answer.why !== "refused") return undefined;
  if (answer.status === 404) return new MatrixError("M_NOT_FOUND", "There is no such profile");
  if (answer.status === 403) {
    return new MatrixError("M_FORBIDDEN", "The user's server tells nobody of profiles");
  }
  return undefined;
}

const Shown = z.object({
  displayname: z.string().optional().catch(undefined),
  avatar_url: z.string().optional().catch(undefined),
});

/** What another server says of a user. Whatever is null is not there; a name that is no text neither. */
function readProfile(body: Readonly<Record<string, unknown>>): Profile {
  const { displayname, avatar_url } = Shown.parse(body);
  const shown = {
    ...(displayname !== undefined && { displayname }),
    ...(avatar_url !== undefined && { avatar_url }),
  };
  const others = Object.entries(body).filter(
    ([key, value]) => key !== "displayname" && key !== "avatar_url" && value !== null,
  );
  const whole = { ...shown, ...Object.fromEntries(others) };
  return Buffer.byteLength(JSON.stringify(whole)) <= MOST_BYTES ? whole : shown;
}
