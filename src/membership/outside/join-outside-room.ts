import { ROOM_VERSIONS, type RoomVersionRules } from "#src/events/room-versions.ts";
import { withAnswerMemory } from "#src/homeserver/answer-memory.ts";
import type { AnswerMemory } from "#src/homeserver/ask-options.ts";
import type { Homeserver } from "#src/homeserver/homeserver.ts";
import type { EventTemplate, Remotes, SendJoinAnswer } from "#src/homeserver/remotes.ts";
import type { CanonicalObject } from "#src/kit/canonical-json.ts";
import type { RoomId, ServerName } from "#src/kit/identifiers.ts";
import { MatrixError } from "#src/kit/matrix-error.ts";
import { isServerName } from "#src/kit/server-name.ts";
import { findEvents } from "#src/rooms/find-event.ts";
import { findEvent } from "#src/rooms/find-event.ts";
import { findRoom } from "#src/rooms/find-room.ts";
import { fillHoles } from "#src/rooms/holes/fill-holes.ts";
import { standingOf } from "#src/rooms/memberships.ts";
import { finishSoon } from "#src/rooms/partial/finish-partial-room.ts";
import { partialRoomsOf } from "#src/rooms/partial/partial-rooms.ts";
import { checkPdus } from "#src/rooms/received/check-pdus.ts";
import { ensureRoom } from "#src/rooms/received/ensure-room.ts";
import type { ReceivedEvent } from "#src/rooms/received/received-event.ts";
import { type JoinedState, storeJoinedState } from "#src/rooms/received/store-joined-state.ts";
import { isResident } from "#src/rooms/residents.ts";
import { EventStatus } from "#src/rooms/stored-event.ts";
import { userKeyOf } from "#src/rooms/user-keys.ts";
import { forgetUntold, isUntold, noteUntold, type UntoldLeave } from "./queries-untold.ts";
import { bodyOf, mayBeOld, throughOneOf, unhelpful } from "./refusals.ts";
import type { ServersToAsk } from "./servers-to-ask.ts";
import { type MemberEvent, signTemplate } from "./sign-template.ts";
import { FIRST_RETRY_MS, tellLeave } from "./tell-leave.ts";

/** How long the first answer of a server may take: who does not answer is not waited for while others may. */
const TEMPLATE_TIMEOUT_MS = 15_000;

/** How long it may take to get what a join follows in a room that others of ours are in. */
const FOLLOWED_TIMEOUT_MS = 15_000;

/**
 * Joins a user to a room that this server is not in, by way of one that is. What that one says of the room
 * is verified before anything of it counts: if it does not hold, we are not in the room, and tell so whoever
 * may have let us in.
 *
 * @param join the member event that the user wants to send.
 * @param servers those that are probably in the room.
 * @throws MatrixError what the servers say, such as M_FORBIDDEN; M_NOT_FOUND if there are none; 502 if
 *   none of them is of any help.
 * @spec server-server-api#joining-rooms
 */
export async function joinOutsideRoom(
  hs: Homeserver,
  join: MemberEvent,
  servers: ServersToAsk,
): Promise<void> {
  const { roomId, sender: userId } = join;
  const letIn = new Set<ServerName>();
  const eventKey = await memberEventKey(hs, join);
  const wasUntold = await isUntold(hs.sql, { userId, roomId });
  const leave = (): UntoldLeave => ({
    userId,
    roomId,
    servers: [...letIn],
    reason: null,
    eventKey,
  });
  const doubt = async () => {
    const now = hs.now();
    await noteUntold(hs.sql, leave(), { now, dueMs: now + FIRST_RETRY_MS });
  };
  try {
    await throughOneOf(hs, servers, async (server) => {
      await withAnswerMemory(hs, async (memory) => {
        await joinThrough(hs, server, join, { letIn, doubt, memory });
      });
    });
  } catch (error) {
    await takeBack().catch((err: unknown) => {
      hs.log.error({ err, roomId }, "a join that does not hold was not taken back");
    });
    throw error;
  }
  await forgetUntold(hs.sql, { userId, roomId });

  /** That nobody there believes us to be in a room that we are not in. */
  async function takeBack(): Promise<void> {
    if (letIn.size > 0) await tellLeave(hs, leave());
    else if (!wasUntold) await forgetUntold(hs.sql, { userId, roomId });
  }
}

/** The member event by which a user is what they are in a room, as far as is known here. */
async function memberEventKey(
  hs: Homeserver,
  { roomId, sender }: MemberEvent,
): Promise<number | null> {
  const [room, userKey] = [await findRoom(hs, roomId), await userKeyOf(hs, sender)];
  const standing = room && (await standingOf(hs, userKey, room.roomKey));
  return standing?.eventKey ?? null;
}

type Joining = {
  /** The servers that have perhaps taken the user into the room. */
  readonly letIn: Set<ServerName>;
  /** Writes down that these are to be told if nothing comes of it: this process may end before it knows. */
  readonly doubt: () => Promise<void>;
  readonly memory: AnswerMemory;
};

async function joinThrough(
  hs: Homeserver,
  server: ServerName,
  join: MemberEvent,
  { letIn, doubt, memory }: Joining,
): Promise<void> {
  const { roomId, sender, draft } = join;
  const question = { roomId, userId: sender, versions: [...ROOM_VERSIONS.keys()] };
  const options = { timeoutMs: TEMPLATE_TIMEOUT_MS };
  const template = bodyOf(server, await hs.remotes.makeJoin(server, question, options));
  const authorised = { ...draft, content: { ...draft.content, ...authoriserIn(template) } };
  const { event, rules, wire } = signTemplate(hs, server, template, { ...join, draft: authorised });
  const eventId = event.event_id;
  const omitMembers = await wantsLess(hs, roomId);
  const sent = { roomId, eventId, event: wire, omitMembers };
  letIn.add(server);
  await doubt();
  const said = await sendJoin(hs, server, sent, memory);
  if (!said.ok && said.why === "refused") letIn.delete(server);
  const answer = bodyOf(server, said);
  const setting = { roomId, rules, server };
  const [joinEvent] = await checked(hs, [answer.event ?? wire], setting);
  if (joinEvent?.event.event_id !== eventId) throw unhelpful(server, "answered with another join");
  const state = await stateOf(hs, answer, setting);
  const room = await ensureRoom(hs, roomId, rules);
  if (room.rules !== rules) throw unhelpful(server, "says that the room has another version");
  const membersFrom = answer.members_omitted ? othersIn(hs, server, answer) : undefined;
  const joined = { room, joinEvent, ...state, ...(membersFrom && { membersFrom }) };
  const stored = await storeJoined(hs, joined, memory);
  if (!stored.ok) {
    hs.log.warn({ roomId, server, eventId, reason: stored.reason }, "a join does not hold");
    // Whoever is banned cannot leave either.
    if (await citesBan(hs, joinEvent)) letIn.delete(server);
    throw new MatrixError("M_FORBIDDEN", "The state of the room does not allow the join");
  }
  hs.log.info({ roomId, server, events: state.stateEvents.length }, "joined a room of others");
  if (membersFrom) finishSoon(hs, room);
}

async function sendJoin(
  hs: Homeserver,
  server: ServerName,
  sent: Parameters<Remotes["sendJoinV2"]>[1],
  memory: AnswerMemory,
): ReturnType<Remotes["sendJoinV2"]> {
  const answer = await hs.remotes.sendJoinV2(server, sent, { memory });
  if (!mayBeOld(answer)) return answer;
  const older = await hs.remotes.sendJoinV1(server, sent, { memory });
  return older.ok ? older : answer;
}

/** Stores a join, and what it follows, should others of ours be in the room already: that is soon had. */
async function storeJoined(
  hs: Homeserver,
  joined: JoinedState,
  memory: AnswerMemory,
): Promise<{ readonly ok: true } | { readonly ok: false; readonly reason: string }> {
  const stored = await storeJoinedState(hs, joined);
  if (!("waits" in stored)) return stored;
  memory.release();
  const { room, joinEvent } = joined;
  await fillHoles(hs, room, AbortSignal.timeout(FOLLOWED_TIMEOUT_MS));
  const event = await findEvent(hs, joinEvent.event.event_id);
  if (event?.status === EventStatus.accepted) return { ok: true };
  return { ok: false, reason: "what it follows cannot be had, or does not allow it" };
}

/** Whether a room's state may come without its members: where we know them already, nothing is gained by less. */
async function wantsLess(hs: Homeserver, roomId: RoomId): Promise<boolean> {
  const known = await findRoom(hs, roomId);
  if (!known || !(await isResident(hs.sql, known.roomKey))) return true;
  return (await partialRoomsOf(hs)).has(known.roomKey);
}

/** The most servers that are believed to be in a room before we know its members. */
const MOST_SERVERS = 5_000;

/** Who may know the members that a server has left out: at first itself. */
function othersIn(
  hs: Homeserver,
  server: ServerName,
  { servers_in_room = [] }: SendJoinAnswer,
): ServerName[] {
  const others = servers_in_room.slice(0, MOST_SERVERS).filter(isServerName);
  return [...new Set([server, ...others])].filter((it) => it !== hs.name);
}

/** Whether a join that does not hold says itself that the user is banned. */
async function citesBan(hs: Homeserver, { event }: ReceivedEvent): Promise<boolean> {
  const cited = await findEvents(hs, event.auth_events);
  return [...cited.values()].some(
    ({ type, stateKey, content }) =>
      type === "m.room.member" && stateKey === event.sender && content["membership"] === "ban",
  );
}

/** Who lets the user in, where the room's rules want somebody to. @spec server-server-api#restricted-rooms */
function authoriserIn({ event }: EventTemplate): CanonicalObject {
  const { content } = event;
  if (typeof content !== "object" || content === null) return {};
  const { join_authorised_via_users_server } = content as CanonicalObject;
  if (typeof join_authorised_via_users_server !== "string") return {};
  return { join_authorised_via_users_server };
}

type Setting = {
  readonly roomId: RoomId;
  readonly rules: RoomVersionRules;
  readonly server: ServerName;
};

/** The state that a server gives of its room, as far as it is what it says. */
async function stateOf(
  hs: Homeserver,
  answer: SendJoinAnswer,
  setting: Setting,
): Promise<Pick<JoinedState, "stateEvents" | "authChain">> {
  const [stateEvents, authChain] = await Promise.all([
    checked(hs, answer.state, setting),
    checked(hs, answer.auth_chain, setting),
  ]);
  const create = stateEvents.find(
    ({ event }) => event.type === "m.room.create" && event.state_key === "",
  );
  const { room_version = "1" } = create?.event.content ?? {};
  if (!create || room_version !== setting.rules.version) {
    throw unhelpful(setting.server, "gave a state without its beginning");
  }
  return { stateEvents, authChain };
}

/** Those of some events that pass the checks 1 to 3, and are of the room. */
async function checked(
  hs: Homeserver,
  pdus: readonly unknown[],
  { roomId, rules }: Setting,
): Promise<ReceivedEvent[]> {
  const all = await checkPdus(pdus, { rules, keys: hs.remotes.verifyKeys, now: hs.now() });
  return all
    .flatMap((it) => (it.ok ? [it.received] : []))
    .filter((it) => it.event.room_id === roomId);
}
