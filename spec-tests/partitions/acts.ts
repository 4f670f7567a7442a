import { setTimeout as sleep } from "node:timers/promises";
import type { Body } from "../answers.ts";
import type { Request } from "../faults/call.ts";
import type { Dice } from "../oracle/dice.ts";
import type { Answer } from "../test-user.ts";
import { type Actor, type Cast, joinRequest } from "./cast.ts";

/** An event that a server has said to have taken. */
export type Deed = {
  readonly roomId: string;
  readonly eventId: string;
  readonly actor: Actor;
  /** Whether a redaction takes away of it what others are judged by, in rooms of old versions. */
  readonly isWorn: boolean;
};

/** What all who act share. */
export type Play = {
  readonly cast: Cast;
  readonly deeds: Deed[];
  /** What no server may answer, whatever the network does. */
  readonly faults: string[];
  isOver: boolean;
};

/** The longest pause between two requests of one actor. */
const PAUSE_MS = 180;

/** How long an actor waits for an answer; and for one to what asks other servers, which may hang while they are away. */
const PATIENCE_MS = 20_000;
const PATIENCE_WITH_OTHERS_MS = 3_000;

/** Does random things as a user, one after the other, until the play is over. */
export async function act(play: Play, actor: Actor, dice: Dice): Promise<void> {
  const acts = actor.isAnchor ? [...ACTS, ...ACTS_OF_ANCHORS] : ACTS;
  while (!play.isOver) {
    await sleep(dice.below(PAUSE_MS));
    if (play.isOver) return;
    const roomId = dice.pick(play.cast.roomIds);
    const request = await dice.weighted(acts)({ play, actor, roomId, dice });
    if (request) await carryOut(play, actor, { roomId, request });
  }
}

type Moment = {
  readonly play: Play;
  readonly actor: Actor;
  readonly roomId: string;
  readonly dice: Dice;
};
type Act = (moment: Moment) => Request | undefined | Promise<Request | undefined>;

let count = 0;

const ACTS: readonly (readonly [weight: number, act: Act])[] = [
  [
    10,
    (it) => put(it, `send/m.room.message/${++count}`, { msgtype: "m.text", body: `no. ${count}` }),
  ],
  [4, (it) => setState(it, "m.room.topic", "", { topic: `topic ${++count}` })],
  [1, (it) => setState(it, "m.room.name", "", { name: `name ${++count}` })],
  [3, (it) => setState(it, "org.example.kept", it.dice.pick(["", "a", "b"]), { n: ++count })],
  [2, redact],
  [3, (it) => joinRequest(it.actor, it.roomId, it.actor.player.name)],
  [2, (it) => (it.actor.isAnchor ? undefined : post(it, "leave", {}))],
  [2, (it) => post(it, "invite", { user_id: someGuest(it).user.userId })],
  [2, (it) => setMember(it, "leave")],
  [1, (it) => setMember(it, "ban")],
];

const ACTS_OF_ANCHORS: readonly (readonly [weight: number, act: Act])[] = [
  [2, changeLevels],
  [2, (it) => setMember(it, "ban")],
  [2, (it) => setMember(it, "leave")],
  [
    1,
    (it) =>
      setState(it, "m.room.join_rules", "", { join_rule: it.dice.pick(["public", "invite"]) }),
  ],
  [
    1,
    (it) =>
      setState(it, "m.room.history_visibility", "", {
        history_visibility: it.dice.pick(["shared", "joined", "invited"]),
      }),
  ],
];

function put({ actor, roomId }: Moment, path: string, body: object): Request {
  const whole = `/v3/rooms/${encodeURIComponent(roomId)}/${path}`;
  return { method: "PUT", path: whole, token: actor.user.accessToken, body };
}

function post({ actor, roomId }: Moment, path: string, body: object): Request {
  const whole = `/v3/rooms/${encodeURIComponent(roomId)}/${path}`;
  return { method: "POST", path: whole, token: actor.user.accessToken, body };
}

function setState(it: Moment, type: string, key: string, content: object): Request {
  return put(it, `state/${type}/${encodeURIComponent(key)}`, content);
}

function someGuest({ play, dice }: Moment): Actor {
  return dice.pick(play.cast.actors.filter((it) => !it.isAnchor));
}

/** Kicks or bans somebody, or takes back that they were banned or invited. */
function setMember(it: Moment, membership: "leave" | "ban"): Request {
  const { userId } = someGuest(it).user;
  return setState(it, "m.room.member", userId, { membership });
}

/** The first room version in which redacted events keep what others are judged by. @spec rooms/v11#redactions */
const NOTHING_WORN_FROM = 11;

/**
 * Redacts something. In rooms of old versions servers that get redacted levels, or a redacted redaction, in place of the
 * whole ones must come to other conclusions than those that have these.
 */
function redact(it: Moment): Request | undefined {
  const version = Number(it.play.cast.versions.get(it.roomId));
  const known = it.play.deeds.filter(
    ({ roomId, isWorn }) => roomId === it.roomId && !(isWorn && version < NOTHING_WORN_FROM),
  );
  if (known.length === 0) return undefined;
  const { eventId } = it.dice.pick(known);
  return put(it, `redact/${encodeURIComponent(eventId)}/${++count}`, {});
}

/** Changes something of the levels as the actor's server knows them. */
async function changeLevels(it: Moment): Promise<Request | undefined> {
  const path = `/v3/rooms/${encodeURIComponent(it.roomId)}/state/m.room.power_levels/`;
  const answer = await it.actor.user.call("GET", path);
  if (answer.status !== 200) return undefined;
  const levels = answer.body;
  const { userId } = someGuest(it).user;
  const changes = [
    { users: { ...levels.users, [userId]: it.dice.pick([0, 50, 99]) } },
    { state_default: it.dice.pick([0, 50]) },
    { events: { ...levels.events, "m.room.topic": it.dice.pick([0, 50, 100]) } },
    { events_default: it.dice.pick([0, 0, 1]) },
    { ban: it.dice.pick([50, 99]), kick: it.dice.pick([50, 99]) },
    { invite: it.dice.pick([0, 50]) },
  ];
  return setState(it, "m.room.power_levels", "", { ...levels, ...it.dice.pick(changes) });
}

type Errand = { readonly roomId: string; readonly request: Request };

async function carryOut(play: Play, actor: Actor, { roomId, request }: Errand): Promise<void> {
  const { method, path } = request;
  const asksOthers = path.includes("/invite") || path.includes("/join/");
  const patienceMs = asksOthers ? PATIENCE_WITH_OTHERS_MS : PATIENCE_MS;
  try {
    const { status, body } = await send(actor, request, patienceMs);
    const eventId: unknown = body.event_id;
    const isWorn = /\/(redact|state\/m\.room\.power_levels)\//.test(path);
    if (status === 200 && typeof eventId === "string") {
      play.deeds.push({ roomId, eventId, actor, isWorn });
    }
    // That another server cannot be reached, or does not help, is the only fault that is not the asker's.
    if (actor.player.isOurs && status >= 500 && ![502, 504].includes(status)) {
      play.faults.push(`${method} ${path}: ${status} ${JSON.stringify(body)}`);
    }
  } catch (error) {
    // What comes of it is seen in the end. Only what concerns one server must be answered at once.
    if (actor.player.isOurs && !asksOthers) play.faults.push(`${method} ${path}: ${String(error)}`);
  }
}

async function send(
  { player }: Actor,
  { method, path, token = "", body }: Request,
  patienceMs: number,
): Promise<Answer> {
  const response = await fetch(`${player.url}/_matrix/client${path}`, {
    method,
    headers: { authorization: `Bearer ${token}` },
    body: JSON.stringify(body),
    signal: AbortSignal.timeout(patienceMs),
  });
  return { status: response.status, body: (await response.json()) as Body };
}
