import { randomBytes } from "node:crypto";
import type { EventDraft } from "#src/events/build-event.ts";
import type { RoomVersionRules } from "#src/events/room-versions.ts";
import type { CanonicalObject } from "#src/kit/canonical-json.ts";
import type { RoomAlias, UserId } from "#src/kit/identifiers.ts";
import type { CreateRoomRequest, Preset } from "./create-room-request.ts";

type PresetState = {
  readonly joinRule: string;
  readonly historyVisibility: string;
  readonly guestAccess: string;
  /**
   * The power that inviting takes. The specification leaves it open; in a room that everybody finds, invitations
   * of everybody by everybody are spam, and should it become restricted, who may invite decides who comes in.
   */
  readonly invite: number;
};

/** @spec client-server-api#post_matrixclientv3createroom */
const PRESETS: Readonly<Record<Preset, PresetState>> = {
  private_chat: {
    joinRule: "invite",
    historyVisibility: "shared",
    guestAccess: "can_join",
    invite: 0,
  },
  trusted_private_chat: {
    joinRule: "invite",
    historyVisibility: "shared",
    guestAccess: "can_join",
    invite: 0,
  },
  public_chat: {
    joinRule: "public",
    historyVisibility: "shared",
    guestAccess: "forbidden",
    invite: 50,
  },
};

/** What a creator says of a room, beyond its events: who, what preset, under which alias. */
export type RoomPlan = {
  readonly request: CreateRoomRequest;
  readonly rules: RoomVersionRules;
  readonly creator: UserId;
  readonly preset: Preset;
  readonly alias: RoomAlias | undefined;
};

/** The content of the create event. */
export function createContent({ request, rules, creator, preset }: RoomPlan): CanonicalObject {
  const { creator: _, room_version: __, ...given } = request.creation_content ?? {};
  const trusted = rules.privilegedCreators && preset === "trusted_private_chat";
  const named = given["additional_creators"] ?? [];
  // What is no list is left to the room's rules, which refuse it.
  const creators = trusted && Array.isArray(named) ? [...named, ...(request.invite ?? [])] : [];
  return {
    ...given,
    ...(creators.length > 0 && {
      additional_creators: [...new Set(creators)].filter((it) => it !== creator),
    }),
    ...(rules.creatorInCreateContent && { creator }),
    // Two rooms that one user makes in the same millisecond would otherwise have the same ID.
    ...(rules.roomIdIsCreateEventId && { "archipel.nonce": randomBytes(12).toString("base64url") }),
    room_version: rules.version,
  };
}

/** The power levels that a room begins with. */
function powerLevelsContent({ request, rules, creator, preset }: RoomPlan): CanonicalObject {
  const equals = preset === "trusted_private_chat" ? (request.invite ?? []) : [];
  const users = rules.privilegedCreators
    ? {}
    : Object.fromEntries([...equals, creator].map((it) => [it, 100]));
  return {
    users,
    users_default: 0,
    events: {
      "m.room.name": 50,
      "m.room.power_levels": 100,
      "m.room.history_visibility": 100,
      "m.room.canonical_alias": 50,
      "m.room.avatar": 50,
      // Only creators may end a room for another, where they are above all levels.
      "m.room.tombstone": rules.privilegedCreators ? 150 : 100,
      "m.room.server_acl": 100,
      "m.room.encryption": 100,
    },
    events_default: 0,
    state_default: 50,
    ban: 50,
    kick: 50,
    redact: 50,
    invite: PRESETS[preset].invite,
    historical: 100,
    ...request.power_level_content_override,
  };
}

/**
 * The events that a room begins with after its creator's join, in the specification's order. Each
 * state is set once: what the creator gives as `initial_state` takes the place of the preset's.
 */
export function initialDrafts(plan: RoomPlan): EventDraft[] {
  const { request, preset, alias } = plan;
  const { joinRule, historyVisibility, guestAccess } = PRESETS[preset];
  const state = (type: string, content: CanonicalObject): EventDraft => ({
    type,
    state_key: "",
    content,
  });
  const given = (request.initial_state ?? []).map(({ type, state_key = "", content }) => ({
    type,
    state_key,
    content,
  }));
  const preset_ = [
    state("m.room.join_rules", { join_rule: joinRule }),
    state("m.room.history_visibility", { history_visibility: historyVisibility }),
    // A room that says nothing lets no guest in.
    ...(guestAccess === "can_join"
      ? [state("m.room.guest_access", { guest_access: guestAccess })]
      : []),
  ].filter((it) => !given.some(({ type, state_key }) => type === it.type && state_key === ""));
  const { name, topic } = request;
  return [
    state("m.room.power_levels", powerLevelsContent(plan)),
    ...(alias === undefined ? [] : [state("m.room.canonical_alias", { alias })]),
    ...preset_,
    ...given,
    ...(name === undefined ? [] : [state("m.room.name", { name })]),
    ...(topic === undefined ? [] : [state("m.room.topic", topicContent(topic))]),
  ];
}

/** @spec client-server-api#room-events */
function topicContent(topic: string): CanonicalObject {
  return { topic, "m.topic": { "m.text": [{ body: topic }] } };
}
