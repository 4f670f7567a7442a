import { DEVICE_LISTS, type DeviceListDetail } from "#src/devices/device-lists.ts";
import { RemoteDelivery } from "#src/devices/to-device-stream.ts";
import type { Receipt } from "#src/ephemeral/receipt.ts";
import { RECEIPTS } from "#src/ephemeral/receipts-stream.ts";
import { TYPING, type TypingDetail } from "#src/ephemeral/typing-stream.ts";
import type { Homeserver } from "#src/homeserver/homeserver.ts";
import type { Position } from "#src/homeserver/position.ts";
import type { ServerName } from "#src/kit/identifiers.ts";
import { MemberMoved } from "#src/rooms/event-changes.ts";
import { roomsByKeys } from "#src/rooms/find-room.ts";
import { type Placed, serversOwed } from "#src/rooms/room-servers.ts";
import { StickyDelivery } from "#src/rooms/sticky/sticky-stream.ts";
import { EventStatus, StoredEvent } from "#src/rooms/stored-event.ts";
import { otherServerOf, userIdsOf } from "#src/rooms/user-keys.ts";
import type { Change } from "#src/streams/stream.ts";
import { PROFILES, type ProfileDetail } from "#src/users/profiles-stream.ts";
import { typingEdu } from "./edu-texts.ts";
import { serversOfKnown } from "./queries-belated.ts";

/** What of some changes may be for other servers. */
export type ForOthers = {
  /** Events and receipts of ours. */
  readonly placed: readonly Placed[];
  /** Servers for whose users' devices there are messages, or that have come to rooms with events that are sticky still. */
  readonly servers: readonly ServerName[];
  /** Changes of the devices and profiles of users, of whom it is not known yet whose they are; and who types. */
  readonly ofUsers: readonly OfUser[];
  readonly typing: readonly (OfUser & { readonly untilMs: number })[];
  /** Rooms that users of ours are told of anew, since it is known now who is there. */
  readonly known: readonly number[];
};

type OfUser = Placed & { readonly userKey: number };

/** Picks out what may be for other servers. It is called for every change that there is, so it waits for nothing. */
export function changesForOthers(hs: Homeserver, changes: readonly Change[]): ForOthers {
  const placed: Placed[] = [];
  const servers: ServerName[] = [];
  const ofUsers: OfUser[] = [];
  const typing: (OfUser & { untilMs: number })[] = [];
  const known = new Set<number>();
  for (const { stream, roomKey, position, detail } of changes) {
    if (detail instanceof RemoteDelivery || detail instanceof StickyDelivery) {
      servers.push(detail.serverName);
    }
    if (roomKey === undefined) continue;
    const at = { roomKey, position };
    if (detail instanceof StoredEvent) {
      if (isToldByUs(hs, detail, position)) placed.push(at);
    } else if (detail instanceof MemberMoved) {
      known.add(roomKey);
    } else if (stream === RECEIPTS) {
      if (isPublicReceipt(hs, detail as Receipt)) placed.push(at);
    } else if (stream === TYPING) {
      const { userKey, untilMs } = detail as TypingDetail;
      typing.push({ ...at, userKey, untilMs });
    } else {
      const userKey = changerOf(stream, detail);
      if (userKey !== undefined) ofUsers.push({ ...at, userKey });
    }
  }
  return { placed, servers, ofUsers, typing, known: [...known] };
}

/** Of these fields of profiles the rooms are told. */
const SHOWN_IN_ROOMS = new Set(["displayname", "avatar_url"]);

/** The user whose devices, or whose profile, have changed in a way that their rooms do not show. */
function changerOf(stream: string, detail: unknown): number | undefined {
  if (stream === DEVICE_LISTS) return (detail as DeviceListDetail).userKey;
  if (stream !== PROFILES) return undefined;
  const { userKey, fields } = detail as ProfileDetail;
  return fields.every((it) => SHOWN_IN_ROOMS.has(it)) ? undefined : userKey;
}

function isToldByUs(hs: Homeserver, event: StoredEvent, position: Position): boolean {
  const isOurs = event.isRelayed ?? otherServerOf(hs, event.sender) === undefined;
  return isOurs && event.status === EventStatus.accepted && event.anchor === position;
}

function isPublicReceipt(hs: Homeserver, { type, userId }: Receipt): boolean {
  return type === "m.read" && otherServerOf(hs, userId) === undefined;
}

export function isNothing({ placed, servers, ofUsers, typing, known }: ForOthers): boolean {
  return placed.length + servers.length + ofUsers.length + typing.length + known.length === 0;
}

/** The servers that are owed any of it. */
export async function serversConcerned(
  hs: Homeserver,
  { placed, servers, ofUsers, known }: ForOthers,
): Promise<ReadonlySet<ServerName>> {
  const ours = await onlyOurs(hs, ofUsers);
  return new Set([
    ...servers,
    ...(await serversOwed(hs, [...placed, ...ours])),
    ...(known.length > 0 ? await serversOfKnown(hs.sql, known) : []),
  ]);
}

type Passing = {
  readonly servers: ReadonlySet<ServerName>;
  readonly key: string;
  readonly edu: string;
};

/** Who of our users types, for each room's servers. */
export async function typingForOthers(
  hs: Homeserver,
  { typing }: ForOthers,
): Promise<readonly Passing[]> {
  if (typing.length === 0) return [];
  const ours = await onlyOurs(hs, typing);
  const rooms = await roomsByKeys(
    hs,
    ours.map((it) => it.roomKey),
  );
  const now = hs.now();
  const told: Passing[] = [];
  for (const it of ours) {
    const room = rooms.get(it.roomKey);
    const edu = room && typingEdu(room.roomId, it.userId, it.untilMs > now);
    if (edu === undefined) continue;
    told.push({ edu, key: `${it.roomKey} ${it.userKey}`, servers: await serversOwed(hs, [it]) });
  }
  return told;
}

async function onlyOurs<T extends OfUser>(hs: Homeserver, its: readonly T[]) {
  const userIds = await userIdsOf(
    hs,
    its.map((it) => it.userKey),
  );
  return its.flatMap((it) => {
    const userId = userIds.get(it.userKey);
    if (userId === undefined || otherServerOf(hs, userId) !== undefined) return [];
    return [{ ...it, userId }];
  });
}
