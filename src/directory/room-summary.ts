import { held } from "#src/homeserver/held.ts";
import type { Homeserver } from "#src/homeserver/homeserver.ts";
import type { CanonicalObject, CanonicalValue } from "#src/kit/canonical-json.ts";
import { isRoomId, type RoomId } from "#src/kit/identifiers.ts";
import { lru } from "#src/kit/lru.ts";
import { someOfStatesAt } from "#src/rooms/current-state.ts";
import type { Room } from "#src/rooms/find-room.ts";
import { memberCounts } from "#src/rooms/memberships.ts";
import { shownContent } from "#src/rooms/shown-content.ts";
import { pairKey, type StatePair } from "#src/rooms/state-slots.ts";

/** A room as directories list it. Names are the wire's. */
export type PublishedRoom = {
  readonly room_id: RoomId;
  readonly num_joined_members: number;
  readonly world_readable: boolean;
  readonly guest_can_join: boolean;
  readonly join_rule?: string;
  readonly name?: string;
  readonly topic?: string;
  readonly avatar_url?: string;
  readonly canonical_alias?: string;
  readonly room_type?: string;
};

/** A room as those who might join it are told of it. @spec client-server-api#get_matrixclientv1roomsroomidhierarchy */
export type RoomSummary = PublishedRoom & {
  readonly room_version: string;
  readonly encryption?: string;
  readonly allowed_room_ids?: readonly RoomId[];
};

/** A room with the root of its current state. */
export type RoomAt = Room & { readonly root: number };

const PAIRS: readonly StatePair[] = [
  "m.room.create",
  "m.room.name",
  "m.room.topic",
  "m.room.avatar",
  "m.room.canonical_alias",
  "m.room.join_rules",
  "m.room.history_visibility",
  "m.room.guest_access",
  "m.room.encryption",
].map((type) => [type, ""]);

/** How many are joined by a state never changes. */
const countsOf = held(() => lru<number, number>(50_000));

/** How many are joined to rooms, by the rooms' keys. */
export async function joinedCounts(
  hs: Homeserver,
  rooms: readonly RoomAt[],
): Promise<Map<number, number>> {
  const known = countsOf(hs);
  const unknown = rooms.filter((it) => known.peek(it.root) === undefined);
  if (unknown.length > 0) {
    const counted = await memberCounts(
      hs,
      unknown.map((it) => it.roomKey),
    );
    for (const { roomKey, root } of unknown) known.set(root, counted.get(roomKey)?.joined ?? 0);
  }
  return new Map(rooms.map(({ roomKey, root }) => [roomKey, known.get(root) ?? 0]));
}

/** What those who are not in rooms may be told of them, by the rooms' keys. Whether they may is for the caller to judge. */
export async function summariesOfRooms(
  hs: Homeserver,
  rooms: readonly RoomAt[],
): Promise<Map<number, RoomSummary>> {
  if (rooms.length === 0) return new Map();
  const [counts, states] = await Promise.all([
    joinedCounts(hs, rooms),
    someOfStatesAt(
      hs,
      rooms.map((it) => it.root),
      PAIRS,
    ),
  ]);
  return new Map(
    rooms.map((room) => {
      const state = states.get(room.root);
      const contentOf = (type: string): CanonicalObject => {
        const event = state?.get(pairKey(type, ""));
        return event ? shownContent(event, room.rules) : {};
      };
      return [room.roomKey, summaryOf(room, contentOf, counts.get(room.roomKey) ?? 0)];
    }),
  );
}

function summaryOf(
  { roomId, rules }: Room,
  contentOf: (type: string) => CanonicalObject,
  joined: number,
): RoomSummary {
  const joinRules = contentOf("m.room.join_rules");
  const allowed = allowedRooms(joinRules);
  return {
    room_id: roomId,
    num_joined_members: joined,
    world_readable:
      contentOf("m.room.history_visibility")["history_visibility"] === "world_readable",
    guest_can_join: contentOf("m.room.guest_access")["guest_access"] === "can_join",
    room_version: rules.version,
    // Without the event nobody can come in who is not invited.
    join_rule: text(joinRules["join_rule"]) ?? "invite",
    ...entry("name", contentOf("m.room.name")["name"]),
    ...entry("topic", topicIn(contentOf("m.room.topic"))),
    ...entry("avatar_url", contentOf("m.room.avatar")["url"]),
    ...entry("canonical_alias", contentOf("m.room.canonical_alias")["alias"]),
    ...entry("room_type", contentOf("m.room.create")["type"]),
    ...entry("encryption", contentOf("m.room.encryption")["algorithm"]),
    ...(allowed.length > 0 && { allowed_room_ids: allowed }),
  };
}

/** The plain text of a topic. */
function topicIn({ topic, "m.topic": block }: CanonicalObject): CanonicalValue | undefined {
  const texts = objectIn(block)["m.text"];
  const plain = (Array.isArray(texts) ? (texts as readonly CanonicalValue[]) : [])
    .map(objectIn)
    .find((it) => it["mimetype"] === undefined || it["mimetype"] === "text/plain");
  return plain?.["body"] ?? topic;
}

/** The rooms by which the members of others may join. @spec client-server-api#restricted-rooms */
function allowedRooms({ join_rule, allow }: CanonicalObject): RoomId[] {
  if (join_rule !== "restricted" && join_rule !== "knock_restricted") return [];
  if (!Array.isArray(allow)) return [];
  return (allow as readonly CanonicalValue[])
    .map(objectIn)
    .flatMap(({ type, room_id }) =>
      type === "m.room_membership" && isRoomId(room_id) ? [room_id] : [],
    );
}

function objectIn(value: CanonicalValue | undefined): CanonicalObject {
  const isObject = typeof value === "object" && value !== null && !Array.isArray(value);
  return isObject ? (value as CanonicalObject) : {};
}

function text(value: CanonicalValue | undefined): string | undefined {
  return typeof value === "string" && value !== "" ? value : undefined;
}

function entry<K extends string>(
  key: K,
  value: CanonicalValue | undefined,
): { readonly [key in K]?: string } {
  const it = text(value);
  return it === undefined ? {} : ({ [key]: it } as { readonly [key in K]?: string });
}
