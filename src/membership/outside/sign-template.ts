import { buildEvent, type BuiltEvent, type EventDraft } from "#src/events/build-event.ts";
import { parsePdu } from "#src/events/parse-pdu.ts";
import { ROOM_VERSIONS, type RoomVersionRules } from "#src/events/room-versions.ts";
import type { Homeserver } from "#src/homeserver/homeserver.ts";
import type { EventTemplate } from "#src/homeserver/remotes.ts";
import type { CanonicalObject } from "#src/kit/canonical-json.ts";
import type { EventId, RoomId, ServerName, UserId } from "#src/kit/identifiers.ts";
import { JsonObject } from "#src/kit/json-object.ts";
import { eventLocalpart } from "#src/rooms/event-localpart.ts";
import { unhelpful } from "./refusals.ts";

/** A member event that another server has to take into its room. */
export type MemberEvent = {
  readonly roomId: RoomId;
  readonly sender: UserId;
  readonly draft: EventDraft;
};

/**
 * Makes an event of what another server proposes: its place in the room's graph is theirs, all that it
 * says is ours.
 *
 * @throws MatrixError (502) if the proposal is for something else, or of no room version that we know.
 * @spec server-server-api#get_matrixfederationv1make_joinroomiduserid
 */
export function signTemplate(
  hs: Homeserver,
  server: ServerName,
  { event: template, room_version = "1" }: EventTemplate,
  { roomId, sender, draft }: MemberEvent,
): BuiltEvent & { readonly rules: RoomVersionRules } {
  const rules = ROOM_VERSIONS.get(room_version);
  const prev = referencesIn(template["prev_events"]);
  const auth = referencesIn(template["auth_events"]);
  const { depth } = template;
  if (!rules || !prev || !auth || !Number.isSafeInteger(depth)) {
    throw unhelpful(server, "proposed no event of a room version that we know");
  }
  if (!isAsAsked(template, { roomId, sender, draft })) {
    throw unhelpful(server, "proposed another event than was asked for");
  }
  const built = buildEvent(draft, {
    sender,
    roomId,
    rules,
    prevEvents: [...prev.keys()],
    authEvents: [...auth.keys()],
    referenceHashes: new Map([...prev, ...auth]),
    depth: depth as number,
    now: hs.now(),
    server: hs.name,
    namesOrigin: true,
    signingKey: hs.signingKey,
    ...(rules.eventIdFormat === "assigned" && { eventIdLocalpart: eventLocalpart() }),
  });
  const parsed = parsePdu(built.wire, rules);
  if (!parsed.ok) throw unhelpful(server, `proposed no event: ${parsed.reason}`);
  return { ...built, rules };
}

function isAsAsked(template: CanonicalObject, { roomId, sender, draft }: MemberEvent): boolean {
  const content = JsonObject.safeParse(template["content"]).data;
  return (
    template["type"] === draft.type &&
    template["state_key"] === draft.state_key &&
    template["sender"] === sender &&
    template["room_id"] === roomId &&
    content?.["membership"] === draft.content["membership"]
  );
}

/** More than an event may name: of more, nothing is made. */
const MOST_REFERENCES = 50;

/** Events that are named with or without their hashes, in whatever way; what is no reference is judged later. */
function referencesIn(references: unknown): ReadonlyMap<EventId, string> | undefined {
  if (!Array.isArray(references) || references.length > MOST_REFERENCES) return undefined;
  return new Map(
    (references as unknown[]).map((it) => {
      if (!Array.isArray(it)) return [it as EventId, ""];
      const [id, hashes] = it as [EventId, { sha256?: unknown } | null];
      return [id, typeof hashes?.sha256 === "string" ? hashes.sha256 : ""];
    }),
  );
}
