import { requireInvitable } from "#src/account-data/require-invitable.ts";
import { requireOnlyAlias } from "#src/directory/require-aliases-of-room.ts";
import {
  claimAlias,
  publishRoom,
  requireFreeAlias,
  requireUnclaimedAlias,
} from "#src/directory/room-aliases.ts";
import type { EventDraft } from "#src/events/build-event.ts";
import { ROOM_VERSIONS } from "#src/events/room-versions.ts";
import type { Homeserver } from "#src/homeserver/homeserver.ts";
import { lookUpAddress } from "#src/identity-servers/look-up-address.ts";
import {
  parseInvite3pid,
  type ThirdPartyAddress,
} from "#src/identity-servers/third-party-address.ts";
import type { CanonicalObject } from "#src/kit/canonical-json.ts";
import {
  parseRoomAlias,
  parseUserId,
  type RoomAlias,
  type RoomId,
  serverNameOf,
  type UserId,
} from "#src/kit/identifiers.ts";
import { MatrixError } from "#src/kit/matrix-error.ts";
import type { Requester } from "#src/kit/requester.ts";
import { Turns } from "#src/kit/turns.ts";
import { findRoom } from "#src/rooms/find-room.ts";
import { writeToRoom } from "#src/rooms/send-event.ts";
import { createContent, initialDrafts, type RoomPlan } from "./create-room-drafts.ts";
import { type CreateRoomRequest, invitedByState } from "./create-room-request.ts";
import { inheritSettings } from "./inherit-settings.ts";
import { inviteUnbound } from "./invite-address.ts";
import { makeRoom } from "./make-room.ts";
import { memberDraft } from "./member-draft.ts";
import { inviteOutsideUser } from "./outside/invite-outside-user.ts";

/** A room, and who is invited to it beside users. */
type Plan = RoomPlan & {
  /** The addresses that are invited and that nobody has bound. */
  readonly unbound: readonly ThirdPartyAddress[];
};

/**
 * Creates a room with all that it begins with: its events, its alias, its place in the directory and
 * the invitations are stored together, or nothing is. Users of other servers are invited after that: their
 * servers have to sign. So are those of whom only an address is known, and no user.
 *
 * @returns the room's ID.
 * @throws MatrixError M_UNSUPPORTED_ROOM_VERSION; M_ROOM_IN_USE of an alias that is taken;
 *   M_INVALID_ROOM_STATE where the given state contradicts itself; M_INVALID_PARAM of bad user IDs and
 *   aliases; M_INVITE_BLOCKED if one who is invited does not want it; M_BAD_ALIAS of a canonical alias that is not the room's;
 *   what `parseInvite3pid` and `lookUpAddress` throw of addresses.
 * @spec client-server-api#post_matrixclientv3createroom
 */
export async function createRoom(
  hs: Homeserver,
  requester: Requester,
  asked: CreateRoomRequest,
): Promise<RoomId> {
  const plan = await planOf(hs, requester, asked);
  const { request } = plan;
  const { roomId, write } = await makeRoom(hs, plan.rules, requester, await draftsOf(hs, plan));
  const { alias } = plan;
  await writeToRoom(hs, {
    ...write,
    async also(tx, roomKey) {
      if (alias !== undefined) await claimAlias(tx, { alias, roomKey, userKey: requester.userKey });
      if (request.visibility === "public") await publishRoom(tx, roomKey, requester.userKey);
    },
  });
  if (request.creation_content?.["predecessor"] !== undefined) {
    await inheritSettings(hs, requester, roomId);
  }
  await inviteOthers(hs, requester, { roomId, plan });
  return roomId;
}

/** Of how many servers users are invited at once: somebody waits, and some may hang. Of more the room would be forked into many. */
const SERVERS_AT_ONCE = 5;

/**
 * Invites to a room that has just been made users of other servers, and whoever has one of some addresses. Should that
 * fail, the room is made, and its maker sees who is invited and can try again.
 */
async function inviteOthers(
  hs: Homeserver,
  requester: Requester,
  { roomId, plan: { request, unbound } }: { roomId: RoomId; plan: Plan },
): Promise<void> {
  const sender = requester.userId;
  const others = invitedIn(request).filter((it) => serverNameOf(it) !== hs.name);
  const room = others.length + unbound.length > 0 && (await findRoom(hs, roomId));
  if (!room) return;
  const attempt = async (whom: object, invite: () => Promise<unknown>) => {
    try {
      await invite();
    } catch (error) {
      if (!(error instanceof MatrixError)) throw error;
      hs.log.warn({ err: error, roomId, ...whom }, "somebody could not be invited to a new room");
    }
  };
  const inviteAll = async (userIds: readonly UserId[]) => {
    for (const userId of userIds) {
      const draft = await memberDraft(hs, userId, "invite", directness(request));
      await attempt({ userId }, async () => await inviteOutsideUser(hs, { room, sender, draft }));
    }
  };
  const turns = new Turns(SERVERS_AT_ONCE, Number.POSITIVE_INFINITY);
  const servers = [...Map.groupBy(others, serverNameOf).values()];
  await Promise.all(servers.map((it) => turns.take(async () => await inviteAll(it))));
  for (const address of unbound) {
    const whom = { identityServer: address.server.name };
    await attempt(whom, async () => await inviteUnbound(hs, requester, { room, address }));
  }
}

function invitedIn({ invite = [] }: CreateRoomRequest): UserId[] {
  return [...new Set(invite)].map(parseUserId);
}

function directness({ is_direct }: CreateRoomRequest): CanonicalObject {
  return is_direct === true ? { is_direct: true } : {};
}

async function planOf(
  hs: Homeserver,
  requester: Requester,
  asked: CreateRoomRequest,
): Promise<Plan> {
  const creator = requester.userId;
  const version = asked.room_version ?? hs.config.rooms.defaultVersion;
  const rules = ROOM_VERSIONS.get(version);
  if (!rules) {
    throw new MatrixError("M_UNSUPPORTED_ROOM_VERSION", "This server has no such room version");
  }
  const { request, unbound } = await withAddressesFound(hs, asked);
  const invited = [...(request.invite ?? []), ...invitedByState(request)];
  await requireInvitable(hs, creator, invited.map(parseUserId));
  const alias = await aliasOf(hs, requester, request);
  const { visibility } = request;
  const preset = request.preset ?? (visibility === "public" ? "public_chat" : "private_chat");
  return { request, rules, creator, preset, alias, unbound };
}

/** The request with whoever has bound an address that is invited as a user who is. */
async function withAddressesFound(
  hs: Homeserver,
  request: CreateRoomRequest,
): Promise<Pick<Plan, "request" | "unbound">> {
  const { invite = [], invite_3pid = [] } = request;
  const addresses = invite_3pid.map((it) => parseInvite3pid(hs, it));
  const found = await Promise.all(addresses.map(async (it) => await lookUpAddress(hs, it)));
  const users = found.filter((it) => it !== undefined);
  return {
    request: { ...request, invite: [...invite, ...users] },
    unbound: addresses.filter((_, index) => found[index] === undefined),
  };
}

/** The alias that the room is to have, and that alone may be its canonical one. */
async function aliasOf(
  hs: Homeserver,
  requester: Requester,
  { room_alias_name: localpart, initial_state = [] }: CreateRoomRequest,
): Promise<RoomAlias | undefined> {
  if (localpart?.includes(":")) {
    throw new MatrixError("M_INVALID_PARAM", "The name of an alias may not have a colon");
  }
  const alias = localpart === undefined ? undefined : parseRoomAlias(`#${localpart}:${hs.name}`);
  for (const { type, content } of initial_state) {
    if (type === "m.room.canonical_alias") requireOnlyAlias(content, alias);
  }
  if (alias === undefined) return undefined;
  requireUnclaimedAlias(hs, alias, requester);
  await requireFreeAlias(hs, alias);
  return alias;
}

/** All that the room begins with. */
async function draftsOf(hs: Homeserver, plan: RoomPlan): Promise<EventDraft[]> {
  const { request, creator } = plan;
  const invited = invitedIn(request).filter((it) => serverNameOf(it) === hs.name);
  const invitations: EventDraft[] = [];
  for (const userId of invited.filter((it) => it !== creator)) {
    invitations.push(await memberDraft(hs, userId, "invite", directness(request)));
  }
  return [
    { type: "m.room.create", state_key: "", content: createContent(plan) },
    await memberDraft(hs, creator, "join"),
    ...initialDrafts(plan),
    ...invitations,
  ];
}
