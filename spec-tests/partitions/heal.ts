import { setTimeout as sleep } from "node:timers/promises";
import { RefusedError } from "../faults/call.ts";
import type { Play } from "./acts.ts";
import type { Actor } from "./cast.ts";
import { differencesOf, lackedDeeds } from "./compare.ts";
import type { FaultyNetwork } from "./faulty-network.ts";
import { type View, viewOf } from "./view.ts";

/** After how long it is certain that servers will not agree, also on a machine with much else to do. */
const PATIENCE_MS = 120_000;

/**
 * How long servers have to agree by themselves before somebody speaks: so long, and so many looks at them, each of which
 * takes long on a busy machine.
 */
const SILENCE_MS = 500;
const LEAST_LOOKS = 5;

/** Each room, as each server has it. */
export type Views = ReadonlyMap<string, readonly View[]>;

export type Healed = {
  readonly differences: readonly string[];
  readonly sendingMs: number;
};

/** Waits until all agree; if they do not, somebody says something now and then, which tells the others of what they lack. */
export async function heal(
  play: Play,
  anchors: readonly Actor[],
  network: FaultyNetwork,
): Promise<Healed> {
  const begun = performance.now();
  const until = begun + PATIENCE_MS;
  // What ours have taken, ours send, whether anybody says anything more or not.
  let lacked = await lackedByOurs(play, anchors, network);
  while (lacked.length > 0 && performance.now() < until) {
    await sleep(100);
    lacked = await lackedByOurs(play, anchors, network);
  }
  const sendingMs = performance.now() - begun;
  if (lacked.length > 0) {
    return { differences: [...lacked, ...(await whatOursMiss(play, anchors))], sendingMs };
  }

  for (let turn = 0; ; turn++) {
    const speaker = anchors[turn % anchors.length];
    if (speaker) await speak(play, speaker);
    const quietUntil = performance.now() + SILENCE_MS;
    for (let looks = 0; looks < LEAST_LOOKS || performance.now() < quietUntil; looks++) {
      const lookedAt = performance.now();
      const differences = await differencesNow(play, anchors);
      const isOver = differences.length === 0 || performance.now() > until;
      if (isOver && differences.length > 0) {
        return { differences: [...differences, ...(await whatOursMiss(play, anchors))], sendingMs };
      }
      if (isOver) return { differences, sendingMs };
      // Whoever is looked at without a pause does not get to do anything else.
      await sleep(Math.max(100, performance.now() - lookedAt));
    }
  }
}

/**
 * What the servers do not agree about. That Synapse lets one who has always been in a room not look into it is one such thing
 * and has to pass, as others have: it has been seen to do so in the midst of a walk.
 */
async function differencesNow(play: Play, anchors: readonly Actor[]): Promise<string[]> {
  try {
    return [...(await viewsOf(play, anchors))].flatMap(([roomId, it]) =>
      differencesOf(it).map((difference) => `${roomId}: ${difference}`),
    );
  } catch (error) {
    const isSynapses = (url: string) =>
      anchors.some(({ player }) => player.url === url && !player.isOurs);
    if (error instanceof RefusedError && error.status === 403 && isSynapses(error.url)) {
      return [error.message];
    }
    throw error;
  }
}

/** What some of ours have taken, and others of ours have not yet. */
async function lackedByOurs(
  { cast, deeds }: Play,
  anchors: readonly Actor[],
  network: FaultyNetwork,
): Promise<string[]> {
  const ours = anchors.filter((it) => it.player.isOurs);
  const looked = cast.roomIds.map(async (roomId) => {
    const kept = ours.map(async (of) => ({ of, kept: await of.player.keptOf(roomId) }));
    const theirs = deeds.filter((it) => it.roomId === roomId && it.actor.player.isOurs);
    return lackedDeeds(network, theirs, await Promise.all(kept));
  });
  return (await Promise.all(looked)).flat();
}

/** What our servers know that they lack. */
async function whatOursMiss({ cast }: Play, anchors: readonly Actor[]): Promise<string[]> {
  const asked = cast.roomIds.flatMap((roomId) =>
    anchors.map(async ({ player }) => await player.lacksIn(roomId)),
  );
  return (await Promise.all(asked)).flat();
}

/** Looks at all rooms at all servers. */
export async function viewsOf({ cast }: Play, anchors: readonly Actor[]): Promise<Views> {
  const looked = cast.roomIds.map(async (roomId) => {
    const views = anchors.map(async (it) => await viewOf(it, roomId));
    return [roomId, await Promise.all(views)] as const;
  });
  return new Map(await Promise.all(looked));
}

async function speak(play: Play, actor: Actor): Promise<void> {
  for (const roomId of play.cast.roomIds) {
    const path = `/v3/rooms/${encodeURIComponent(roomId)}/send/m.room.message/healed${performance.now()}`;
    const { status, body } = await actor.user.call("PUT", path, {
      msgtype: "m.text",
      body: "Well?",
    });
    if (status !== 200) play.faults.push(`${actor.user.userId} may not speak: ${body.errcode}`);
    else play.deeds.push({ roomId, eventId: body.event_id, actor, isWorn: false });
  }
}
