import { setTimeout as sleep } from "node:timers/promises";
import { Dice } from "../oracle/dice.ts";
import { act, type Play } from "./actor.ts";
import { demand, forEach, type Request } from "./call.ts";
import { assembleCast, type Device, joinRequest } from "./cast.ts";
import { faultsOfDirects, faultsOfTimelines } from "./check-devices.ts";
import { checkRoom, faultsOfAccountData } from "./check-rooms.ts";
import { addTo, Deeds, keyOf, type Send } from "./deeds.ts";
import { Follower } from "./follower.ts";
import type { Stage } from "./stage.ts";
import { idsOf, type Read, walkRoom } from "./walk-room.ts";

/** What is kept of a trial, to look at again after later ones. */
export type Memory = {
  readonly owner: Device;
  /** All events of its rooms, by room ID. */
  readonly rooms: ReadonlyMap<string, readonly string[]>;
  readonly sends: readonly Send[];
};

export type TrialResult = {
  /** What was killed. */
  readonly struck: string;
  readonly recoveryMs: number;
  readonly events: number;
  /** Requests of which nobody knew whether they were carried out. */
  readonly unknown: number;
  readonly faults: readonly string[];
  readonly memory: Memory;
};

/** When something is killed, at the latest, after the play has begun. */
const LATEST_BLOW_MS = 1_200;

/** How long the play goes on after all is well again, at the most. */
const AFTERPLAY_MS = 200;

/** How many of an earlier trial's requests are repeated. */
const REPEATED = 5;

/**
 * Has users do random things on running servers, kills something at a random moment, waits until all is well again,
 * and compares what clients can see with what was answered.
 *
 * @param earlier trials; one of them is looked at again.
 */
export async function runTrial(
  stage: Stage,
  seed: number,
  earlier: readonly Memory[],
): Promise<TrialResult> {
  const dice = new Dice(seed);
  const anyUrl = () => dice.pick(stage.urls);
  const cast = await assembleCast(anyUrl(), dice);
  const deeds = new Deeds();
  for (const roomId of cast.roomIds) {
    for (const { userId } of cast.devices) {
      addTo(deeds.memberships, keyOf(roomId, userId), { membership: "join", fate: "done" });
    }
  }
  const play: Play = { urls: stage.urls, cast, deeds, isStruck: false, isOver: false };
  const [owner] = cast.devices;
  const follow = (device: Device) =>
    new Follower(stage.urls, device, new Dice(dice.below(2 ** 32)));
  const followers = new Map([...cast.devices, cast.second].map((it) => [it, follow(it)]));
  // The second device of one who stays in all rooms hears of everything.
  const followed = [cast.second, ...cast.devices.slice(1, 3)];

  const acting = Promise.all([
    ...cast.devices.flatMap((device) =>
      (["talker", "keeper"] as const).map(
        async (role) => await act(play, device, { role, dice: new Dice(dice.below(2 ** 32)) }),
      ),
    ),
    ...followed.map(async (it) => await followers.get(it)?.followUntil(() => play.isOver)),
  ]);
  const killing = (async () => {
    try {
      await sleep(dice.below(LATEST_BLOW_MS));
      play.isStruck = true;
      const struck = await stage.strike(dice);
      const recoveryMs = await stage.recover(dice, probeOf(owner)).catch((error: unknown) => {
        throw new Error(`It does not come back: ${struck} was killed`, { cause: error });
      });
      await sleep(dice.below(AFTERPLAY_MS));
      return { struck, recoveryMs };
    } finally {
      play.isOver = true;
    }
  })();
  // Whoever fails waits for the others, so that nothing is killed or started any more.
  await Promise.allSettled([killing, acting]);
  await acting;
  const { struck, recoveryMs } = await killing;

  const unknown = [...deeds.sends, ...deeds.directs].filter((it) =>
    "kind" in it ? it.eventId === undefined : it.fate === "unknown",
  ).length;
  for (const roomId of cast.roomIds) {
    for (const device of cast.devices) {
      await demand(anyUrl(), joinRequest(device, roomId));
      addTo(deeds.memberships, keyOf(roomId, device.userId), { membership: "join", fate: "done" });
    }
  }
  const faults = await repeatAll(deeds, anyUrl);

  const readAs =
    (token: string): Read =>
    async (path) =>
      await demand(anyUrl(), { method: "GET", path, token });
  const rooms = new Map<string, readonly string[]>();
  for (const roomId of [...cast.roomIds, ...deeds.newRooms]) {
    const findings = await checkRoom(readAs(owner.token), roomId, { deeds, dice });
    faults.push(...findings.faults);
    rooms.set(roomId, findings.eventIds);
  }
  faults.push(...(await faultsOfAccountData(readAs, deeds)));
  for (const [device, follower] of followers) {
    await follower.finish();
    faults.push(...faultsOfDirects(device, follower, deeds));
  }
  const second = followers.get(cast.second);
  if (second) faults.push(...faultsOfTimelines(second, rooms));
  if (earlier.length > 0) faults.push(...(await lookAgain(dice.pick(earlier), anyUrl, dice)));

  const events = [...rooms.values()].reduce((sum, it) => sum + it.length, 0);
  const sends = dice.some(deeds.sends, 20).slice(0, REPEATED);
  return { struck, recoveryMs, events, unknown, faults, memory: { owner, rooms, sends } };
}

/** A request that writes. */
function probeOf({ userId, token }: Device): Request {
  const path = `/v3/user/${encodeURIComponent(userId)}/account_data/org.example.probe`;
  return { method: "PUT", path, token, body: { at: Date.now() } };
}

/** Repeats every request that has a transaction ID, answered or not; those for events twice at once. */
async function repeatAll(deeds: Deeds, anyUrl: () => string): Promise<string[]> {
  const faults: string[] = [];
  await forEach(deeds.sends, 8, async (send) => {
    const replies = await Promise.all([
      demand(anyUrl(), send.request),
      demand(anyUrl(), send.request),
    ]);
    const eventIds = new Set(replies.map((it) => String(it.event_id)));
    if (send.eventId !== undefined) eventIds.add(send.eventId);
    if (eventIds.size > 1) faults.push(`${send.request.path} is ${[...eventIds].join()}`);
    const [eventId] = eventIds;
    if (eventId !== undefined) send.eventId = eventId;
  });
  await forEach(deeds.directs, 8, async (it) => {
    await demand(anyUrl(), it.request);
  });
  return faults;
}

/** What has changed of an earlier trial, where nothing may. */
async function lookAgain(
  { owner, rooms, sends }: Memory,
  anyUrl: () => string,
  dice: Dice,
): Promise<string[]> {
  const faults: string[] = [];
  const { token } = owner;
  const read: Read = async (path) => await demand(anyUrl(), { method: "GET", path, token });
  for (const { request, eventId } of sends) {
    const { event_id: now } = await demand(anyUrl(), request);
    if (now !== eventId) faults.push(`${request.path} was ${eventId}, and is ${now} now`);
  }
  for (const [roomId, eventIds] of rooms) {
    const limit = () => 1 + dice.below(100);
    const now = idsOf(await walkRoom(read, roomId, { direction: "f", limit }));
    if (now.join() !== eventIds.join()) faults.push(`${roomId} of an earlier trial is another now`);
  }
  return faults;
}
