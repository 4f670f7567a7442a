import { moveInDirectory } from "#src/directory/room-aliases.ts";
import { authEventKeys } from "#src/events/auth-rules/auth-events.ts";
import type { EventDraft } from "#src/events/build-event.ts";
import type { Pdu } from "#src/events/pdu.ts";
import { creatorsOf } from "#src/events/power-levels.ts";
import { ROOM_VERSIONS, type RoomVersionRules } from "#src/events/room-versions.ts";
import type { Homeserver } from "#src/homeserver/homeserver.ts";
import type { CanonicalObject } from "#src/kit/canonical-json.ts";
import {
  type EventId,
  isRoomId,
  parseUserId,
  type RoomId,
  type UserId,
} from "#src/kit/identifiers.ts";
import { MatrixError } from "#src/kit/matrix-error.ts";
import type { Requester } from "#src/kit/requester.ts";
import { draftOnHead } from "#src/rooms/draft-on-head.ts";
import type { Room } from "#src/rooms/find-room.ts";
import { requireJoined } from "#src/rooms/memberships.ts";
import { isRefusal } from "#src/rooms/refusals.ts";
import type { RoomInMaking } from "#src/rooms/room-in-making.ts";
import type { RoomWrite } from "#src/rooms/room-write.ts";
import { writeToRoom } from "#src/rooms/send-event.ts";
import { shownContent } from "#src/rooms/shown-content.ts";
import type { StatePair } from "#src/rooms/state-slots.ts";
import { createContent } from "./create-room-drafts.ts";
import { inheritSettings } from "./inherit-settings.ts";
import { makeRoom } from "./make-room.ts";
import { memberDraft } from "./member-draft.ts";
import { addLateBans, successorBans } from "./successor-bans.ts";
import {
  closingLevels,
  inheritedCreation,
  partAliases,
  stateDraft,
  successorJoinRules,
  successorLevels,
  TRANSFERRED,
} from "./successor-drafts.ts";

export type Upgrade = {
  readonly roomId: RoomId;
  readonly version: string;
  readonly additionalCreators: readonly string[];
};

const pair = (type: string): StatePair => [type, ""];
const TOMBSTONE = "m.room.tombstone";
const LEVELS = "m.room.power_levels";
const ALIASES = "m.room.canonical_alias";

/**
 * Makes a room that takes the place of another, in some room version, and ends that: the new room with its state and its bans,
 * the aliases that lead there, and what the old room says of it are stored together, or nothing is.
 *
 * @returns the new room's ID; where the same user has ended the room at the same moment, that of the room made then.
 * @throws MatrixError M_UNSUPPORTED_ROOM_VERSION; M_FORBIDDEN of one who may not end the room, or where another has at
 *   the same moment; M_INVALID_PARAM of creators who are no users.
 * @spec client-server-api#post_matrixclientv3roomsroomidupgrade
 */
export async function upgradeRoom(
  hs: Homeserver,
  requester: Requester,
  { roomId, version, additionalCreators }: Upgrade,
): Promise<RoomId> {
  const rules = ROOM_VERSIONS.get(version);
  if (!rules) {
    throw new MatrixError("M_UNSUPPORTED_ROOM_VERSION", "This server has no such room version");
  }
  const others = rules.privilegedCreators ? additionalCreators.map(parseUserId) : [];
  const room = await requireJoined(hs, requester, roomId);
  const old = await oldRoom(hs, requester, room);
  const creators = [...new Set([requester.userId, ...others])];
  const bans = await successorBans(hs, room, creators);
  const drafts = [
    stateDraft("m.room.create", creationOf(old, { rules, creators })),
    await memberDraft(hs, requester.userId, "join"),
    ...bans,
    ...transferred(hs, old, { rules, creators }),
  ];
  const made = await makeRoom(hs, rules, requester, drafts);
  const ending = endingDrafts(hs, old, made.roomId);
  let tombstone: EventId | undefined;
  let endedBy: Pdu | undefined;
  const upgrading: RoomWrite = {
    room,
    needs: [
      ...authEventKeys({ ...stateDraft(TOMBSTONE, {}), sender: requester.userId }, room.rules),
      pair(TOMBSTONE),
    ],
    sets: ending.map((it) => [it.type, it.state_key ?? ""]),
    most: ending.length,
    build(making) {
      endedBy = making.lookup(TOMBSTONE, "");
      if (endedBy?.event_id !== old.tombstone) throw endedMeanwhile();
      tombstone = endRoom(making, requester, ending);
    },
    with: {
      ...made.write,
      // Only now is it known by which event the old room ends. What makes the room's ID cannot name what names the room.
      ...(!rules.roomIdIsCreateEventId && {
        build(making) {
          for (const it of drafts) making.add(afterTombstone(it, tombstone), requester);
        },
      }),
      also: async (tx, to) => await moveInDirectory(tx, { from: room.roomKey, to }),
    },
  };
  try {
    await writeToRoom(hs, upgrading);
  } catch (error) {
    const successor = endedBy?.content["replacement_room"];
    const isSame = endedBy?.sender === requester.userId && endedBy.event_id !== old.tombstone;
    // The same request, sent twice, has the same answer.
    if (isSame && isRoomId(successor)) return successor;
    throw error;
  }
  await addLateBans(hs, requester, { room, creators, taken: bans, successor: made.roomId });
  await inheritSettings(hs, requester, made.roomId);
  return made.roomId;
}

type OldRoom = {
  readonly room: Room;
  /** What its state says under a type, if anything. */
  readonly state: (type: string) => CanonicalObject | undefined;
  readonly creators: readonly string[];
  /** By which event it has ended already, if it has. */
  readonly tombstone: EventId | undefined;
};

function endedMeanwhile(): MatrixError {
  return new MatrixError("M_FORBIDDEN", "Somebody else has replaced the room at the same moment");
}

/** The room as it is, if the requester may end it. */
async function oldRoom(hs: Homeserver, { userId }: Requester, room: Room): Promise<OldRoom> {
  // Before a whole room is made for nothing.
  const { making, event } = await draftOnHead(hs, room, {
    sender: userId,
    draft: stateDraft(TOMBSTONE, { body: "", replacement_room: "" }),
    needs: [...TRANSFERRED, ALIASES].map(pair),
  });
  const state = (type: string) => {
    const stored = making.stateEvent(type, "");
    if (!stored) return undefined;
    return "event" in stored ? stored.event.content : shownContent(stored, room.rules);
  };
  const create = making.lookup("m.room.create", "");
  return {
    room,
    state,
    creators: create ? [...creatorsOf(create, room.rules)] : [],
    tombstone: event.replaces && "eventId" in event.replaces ? event.replaces.eventId : undefined,
  };
}

type NewRoom = { readonly rules: RoomVersionRules; readonly creators: readonly UserId[] };

function creationOf(old: OldRoom, { rules, creators }: NewRoom): CanonicalObject {
  const [creator, ...others] = creators;
  if (creator === undefined) throw new RangeError("a room needs somebody who makes it");
  return createContent({
    rules,
    creator,
    preset: "private_chat",
    alias: undefined,
    request: {
      creation_content: {
        ...inheritedCreation(old.state("m.room.create") ?? {}),
        predecessor: { room_id: old.room.roomId },
        ...(others.length > 0 && { additional_creators: others }),
      },
    },
  });
}

/** A create event that names the last that the old room says; other drafts as they are. */
function afterTombstone(draft: EventDraft, event_id: EventId | undefined): EventDraft {
  const { predecessor, ...content } = draft.content;
  if (draft.type !== "m.room.create" || event_id === undefined) return draft;
  return {
    ...draft,
    content: { ...content, predecessor: { ...(predecessor as CanonicalObject), event_id } },
  };
}

/** What a room means that says nothing, and its successor says: clients look for it there. */
const IMPLIED: ReadonlyMap<string, CanonicalObject> = new Map([
  ["m.room.guest_access", { guest_access: "forbidden" }],
]);

/** The state that the new room begins with. As long as it has no power levels, its creator may set all: so these are last. */
function transferred(hs: Homeserver, old: OldRoom, { rules, creators }: NewRoom): EventDraft[] {
  const drafts = TRANSFERRED.flatMap((type) => {
    const content = old.state(type) ?? IMPLIED.get(type);
    if (!content) return [];
    const isJoinRules = type === "m.room.join_rules";
    return [stateDraft(type, isJoinRules ? successorJoinRules(content, rules) : content)];
  });
  const { moved } = partAliases(old.state(ALIASES) ?? {}, hs.name);
  if (moved) drafts.push(stateDraft(ALIASES, moved));
  const levels = old.state(LEVELS);
  if (!levels) return drafts;
  const succession = { from: old.room.rules, to: rules, oldCreators: old.creators, creators };
  return [...drafts, stateDraft(LEVELS, successorLevels(levels, succession))];
}

/** What the old room is told, the tombstone first. */
function endingDrafts(
  hs: Homeserver,
  old: OldRoom,
  replacement_room: RoomId,
): readonly [EventDraft, ...EventDraft[]] {
  const tombstone = { body: "This room has been replaced", replacement_room };
  const aliases = partAliases(old.state(ALIASES) ?? {}, hs.name);
  const levels = closingLevels(old.state(LEVELS) ?? {}, old.room.rules);
  return [
    stateDraft(TOMBSTONE, tombstone),
    ...(aliases.moved ? [stateDraft(ALIASES, aliases.left)] : []),
    ...(levels && old.state(LEVELS) ? [stateDraft(LEVELS, levels)] : []),
  ];
}

/** Ends the room. Whoever may do that need not be allowed the rest. @returns the tombstone's ID. */
function endRoom(
  making: RoomInMaking,
  sender: Requester,
  [tombstone, ...others]: readonly [EventDraft, ...EventDraft[]],
): EventId {
  const { event } = making.add(tombstone, sender);
  for (const draft of others) {
    try {
      making.add(draft, sender);
    } catch (error) {
      if (!(error instanceof MatrixError) || !isRefusal(error)) throw error;
    }
  }
  return event.event_id;
}
