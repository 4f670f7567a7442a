import type { EventDraft } from "#src/events/build-event.ts";
import type { Homeserver } from "#src/homeserver/homeserver.ts";
import { lookUpAddress } from "#src/identity-servers/look-up-address.ts";
import {
  type InviteDetails,
  type StoredInvite,
  storeInvite,
} from "#src/identity-servers/store-invite.ts";
import type { ThirdPartyAddress } from "#src/identity-servers/third-party-address.ts";
import type { CanonicalObject } from "#src/kit/canonical-json.ts";
import type { RoomId, UserId } from "#src/kit/identifiers.ts";
import type { Requester } from "#src/kit/requester.ts";
import { draftOnHead } from "#src/rooms/draft-on-head.ts";
import type { Room } from "#src/rooms/find-room.ts";
import { requireJoined } from "#src/rooms/memberships.ts";
import type { RoomInMaking } from "#src/rooms/room-in-making.ts";
import { sendEvent } from "#src/rooms/send-event.ts";
import type { StatePair } from "#src/rooms/state-slots.ts";
import { inviteUser } from "./change-members.ts";

export type AddressInvitation = {
  readonly roomId: RoomId;
  readonly address: ThirdPartyAddress;
  /** Why, for people to read. */
  readonly reason?: string | undefined;
};

/**
 * Invites somebody by an address: the user who has bound it, or else whoever does so later. Nobody is asked
 * on behalf of one who may not invite.
 *
 * @throws MatrixError M_FORBIDDEN if the sender may not, or what `inviteUser` throws; what the identity server says of
 *   the sender, or 502 if it is of no help.
 * @spec client-server-api#third-party-invites
 */
export async function inviteAddress(
  hs: Homeserver,
  requester: Requester,
  { roomId, address, reason }: AddressInvitation,
): Promise<void> {
  const room = await requireJoined(hs, requester, roomId);
  await roomOfInviter(hs, requester.userId, room);
  const bound = await lookUpAddress(hs, address);
  if (bound !== undefined) {
    await inviteUser(hs, requester, { roomId, target: bound, reason });
    return;
  }
  await inviteUnbound(hs, requester, { room, address, reason });
}

/**
 * Invites whoever will have bound an address that nobody has: the identity server keeps the invitation until then.
 *
 * @throws MatrixError as `inviteAddress` does.
 * @spec client-server-api#third-party-invites
 */
export async function inviteUnbound(
  hs: Homeserver,
  requester: Requester,
  { room, address, reason }: Omit<AddressInvitation, "roomId"> & { readonly room: Room },
): Promise<void> {
  const { userId: sender } = requester;
  const details = detailsIn(await roomOfInviter(hs, sender, room), {
    room_id: room.roomId,
    sender,
  });
  const answer = await storeInvite(hs, address, details);
  if ("boundTo" in answer) {
    const { roomId } = room;
    await inviteUser(hs, requester, { roomId, target: answer.boundTo, reason });
    return;
  }
  await sendEvent(hs, { room, sender: requester, draft: draftOf(answer.stored) });
  hs.log.info({ roomId: room.roomId, server: address.server.name }, "invited by an address");
}

/** What of a room is told to whoever is invited by an address. */
const TOLD: readonly StatePair[] = [
  "m.room.create",
  "m.room.canonical_alias",
  "m.room.avatar",
  "m.room.join_rules",
  "m.room.name",
].map((type) => [type, ""]);

/**
 * The room as it is, seen by one who may invite.
 *
 * @throws MatrixError M_FORBIDDEN if the sender may not.
 */
async function roomOfInviter(hs: Homeserver, sender: UserId, room: Room): Promise<RoomInMaking> {
  // By an invitation that is not sent.
  const draft = draftOf({ token: "none", display_name: "", public_keys: [] });
  const needs: StatePair[] = [...TOLD, ["m.room.member", sender]];
  return (await draftOnHead(hs, room, { draft, sender, needs })).making;
}

/** What an invitation is to say of the room and of who sends it. */
function detailsIn(
  making: RoomInMaking,
  of: { readonly room_id: RoomId; readonly sender: UserId },
): InviteDetails {
  const member: StatePair = ["m.room.member", of.sender];
  const details: Omit<
    { readonly [key in keyof InviteDetails]: string | undefined },
    keyof typeof of
  > = {
    room_alias: textIn(making, ["m.room.canonical_alias", ""], "alias"),
    room_avatar_url: textIn(making, ["m.room.avatar", ""], "url"),
    room_join_rules: textIn(making, ["m.room.join_rules", ""], "join_rule"),
    room_name: textIn(making, ["m.room.name", ""], "name"),
    room_type: textIn(making, ["m.room.create", ""], "type"),
    sender_display_name: textIn(making, member, "displayname"),
    sender_avatar_url: textIn(making, member, "avatar_url"),
  };
  const known = Object.entries(details).filter(([, text]) => text !== undefined && text !== "");
  return { ...of, ...Object.fromEntries(known) };
}

function textIn(making: RoomInMaking, pair: StatePair, key: string): string | undefined {
  const value = making.lookup(...pair)?.content[key];
  return typeof value === "string" ? value : undefined;
}

function draftOf({ token, display_name, public_keys }: StoredInvite): EventDraft {
  const [first] = public_keys;
  const content: CanonicalObject = { display_name, ...first, public_keys };
  return { type: "m.room.third_party_invite", state_key: token, content };
}
