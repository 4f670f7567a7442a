import { setTimeout as sleep } from "node:timers/promises";
import { type Body, present } from "../answers.ts";
import type { Dice } from "../oracle/dice.ts";
import { ask, type Request } from "./call.ts";
import { type Cast, type Device, joinRequest, roomRequest } from "./cast.ts";
import { addTo, type Deeds, type Fate, keyOf } from "./deeds.ts";

/** What all who act share. */
export type Play = {
  readonly urls: readonly string[];
  readonly cast: Cast;
  readonly deeds: Deeds;
  /** Whether something has been killed: before that everything must be answered. */
  isStruck: boolean;
  isOver: boolean;
};

/** The longest pause between two requests of one actor, in milliseconds. */
const PAUSE_MS = 8;

/** After a request without an answer: what a killed server has asked of the database may still be carried out. */
const AFTER_UNKNOWN_MS = 150;

/**
 * Does random things as one device of a user, one after the other, until the play is over.
 *
 * @param role a talker does what has a transaction ID, a keeper what has not; so nobody does the
 *   same kind of thing twice at once as one user.
 */
export async function act(
  play: Play,
  device: Device,
  { role, dice }: { role: "talker" | "keeper"; dice: Dice },
): Promise<void> {
  const actor = new Actor(play, device, dice);
  while (!play.isOver) {
    await dice.weighted(role === "talker" ? TALK : KEEP)(actor);
    await sleep(dice.below(PAUSE_MS));
  }
}

const TALK: readonly (readonly [number, (actor: Actor) => Promise<void>])[] = [
  [10, async (actor) => await actor.sendMessage()],
  [2, async (actor) => await actor.redact()],
  [3, async (actor) => await actor.sendToDevices()],
];

const KEEP: readonly (readonly [number, (actor: Actor) => Promise<void>])[] = [
  [6, async (actor) => await actor.setState()],
  [4, async (actor) => await actor.setAccountData()],
  [4, async (actor) => await actor.sendReceipt()],
  [2, async (actor) => await actor.changeMembership()],
  [1, async (actor) => await actor.createRoom()],
];

class Actor {
  readonly #play: Play;
  readonly #device: Device;
  readonly #dice: Dice;
  /** Messages of this actor that it has not redacted. */
  readonly #redactable: { roomId: string; eventId: string }[] = [];

  constructor(play: Play, device: Device, dice: Dice) {
    this.#play = play;
    this.#device = device;
    this.#dice = dice;
  }

  async sendMessage(): Promise<void> {
    const roomId = this.#room();
    const n = this.#play.deeds.nextNumber();
    const path = `/v3/rooms/${encodeURIComponent(roomId)}/send/m.room.message/m${n}`;
    const request = this.#put(path, { msgtype: "m.text", body: `message ${n}`, n });
    const done = await this.#do(request);
    if (!done) return;
    const eventId = done.body?.event_id;
    this.#play.deeds.sends.push({ kind: "message", roomId, request, ...(eventId && { eventId }) });
    if (eventId) this.#redactable.push({ roomId, eventId });
  }

  async redact(): Promise<void> {
    const [of] = this.#redactable.splice(this.#dice.below(this.#redactable.length), 1);
    if (!of) return;
    const txnId = `r${this.#play.deeds.nextNumber()}`;
    const path = `/v3/rooms/${encodeURIComponent(of.roomId)}/redact/${encodeURIComponent(of.eventId)}/${txnId}`;
    const request = this.#put(path, { reason: "second thoughts" });
    const done = await this.#do(request);
    if (!done) return;
    const eventId = done.body?.event_id;
    this.#play.deeds.sends.push({
      kind: "redaction",
      roomId: of.roomId,
      request,
      target: of.eventId,
      ...(eventId && { eventId }),
    });
  }

  async sendToDevices(): Promise<void> {
    const { devices, second } = this.#play.cast;
    const n = this.#play.deeds.nextNumber();
    const chosen = this.#dice.some(devices, 40);
    const all = chosen.includes(devices[0]) && this.#dice.chance(50);
    const messages = new Map(
      chosen.map((it) => {
        const deviceId = all && it === devices[0] ? "*" : it.deviceId;
        return [it.userId, { [deviceId]: { n } }];
      }),
    );
    const path = `/v3/sendToDevice/org.example.direct/d${n}`;
    const request = this.#put(path, { messages: Object.fromEntries(messages) });
    const done = await this.#do(request);
    if (!done) return;
    const to = all ? [...chosen, second] : chosen;
    this.#play.deeds.directs.push({ from: this.#device, to, n, request, fate: done.fate });
  }

  async setState(): Promise<void> {
    const roomId = this.#room();
    const n = this.#play.deeds.nextNumber();
    const stateKey = this.#dice.pick(["", "a", "b", "c"]);
    const path = `/v3/rooms/${encodeURIComponent(roomId)}/state/org.example.kept/${stateKey}`;
    const done = await this.#do(this.#put(path, { n }));
    if (!done) return;
    const eventId = done.body?.event_id;
    this.#play.deeds.states.push({ roomId, n, fate: done.fate, ...(eventId && { eventId }) });
  }

  async setAccountData(): Promise<void> {
    const { deeds } = this.#play;
    const user = `/v3/user/${encodeURIComponent(this.#device.userId)}`;
    const where = this.#dice.chance(50) ? "" : `/rooms/${encodeURIComponent(this.#room())}`;
    const path = `${user}${where}/account_data/org.example.${this.#dice.pick(["one", "two"])}`;
    const n = deeds.nextNumber();
    const done = await this.#do(this.#put(path, { n }));
    if (!done) return;
    const set = deeds.accountData.get(path) ?? { device: this.#device, values: [] };
    deeds.accountData.set(path, set);
    set.values.push({ fate: done.fate, value: n });
  }

  async sendReceipt(): Promise<void> {
    const { deeds } = this.#play;
    const read = deeds.sends.findLast((it) => it.kind === "message" && it.eventId);
    if (!read?.eventId) return;
    const { roomId, eventId } = read;
    const path = `/v3/rooms/${encodeURIComponent(roomId)}/receipt/m.read/${encodeURIComponent(eventId)}`;
    const { token } = this.#device;
    const done = await this.#do({ method: "POST", path, token, body: {} });
    if (!done) return;
    const value = { fate: done.fate, value: eventId };
    addTo(deeds.receipts, keyOf(roomId, this.#device.userId), value);
  }

  async changeMembership(): Promise<void> {
    const { cast, deeds } = this.#play;
    if (this.#device === cast.devices[0]) return;
    const roomId = this.#room();
    const key = keyOf(roomId, this.#device.userId);
    const before = deeds.memberships.get(key)?.at(-1)?.membership ?? "join";
    const membership = before === "join" ? "leave" : "join";
    const path = `/v3/rooms/${encodeURIComponent(roomId)}/leave`;
    const { token } = this.#device;
    const leave: Request = { method: "POST", path, token, body: {} };
    const done = await this.#do(membership === "join" ? joinRequest(this.#device, roomId) : leave);
    if (done) addTo(deeds.memberships, key, { membership, fate: done.fate });
  }

  async createRoom(): Promise<void> {
    const { cast, deeds } = this.#play;
    if (this.#device !== cast.devices[0]) return;
    const path = "/v3/createRoom";
    const { token } = this.#device;
    const done = await this.#do({ method: "POST", path, token, body: roomRequest(this.#dice) });
    if (done?.fate === "done") deeds.newRooms.push(present(done.body).room_id);
  }

  #room(): string {
    return this.#dice.pick(this.#play.cast.roomIds);
  }

  #put(path: string, body: object): Request {
    return { method: "PUT", path, token: this.#device.token, body };
  }

  /** @returns undefined if it was not carried out. @throws Error if that cannot be right */
  async #do(request: Request): Promise<{ fate: Fate; body?: Body } | undefined> {
    const reply = await ask(this.#dice.pick(this.#play.urls), request);
    if (reply?.status === 200) return { fate: "done", body: reply.body };
    // One who is not joined may not send, and not leave.
    if (reply?.status === 403) return undefined;
    const mayBe = this.#play.isStruck && !(reply && reply.status > 0 && reply.status < 500);
    if (!mayBe) {
      const came = reply ? `${reply.status} ${JSON.stringify(reply.body)}` : "no answer";
      throw new Error(`${request.method} ${request.path}: ${came}`);
    }
    await sleep(AFTER_UNKNOWN_MS);
    return reply?.status === 0 ? undefined : { fate: "unknown" };
  }
}
