import { setTimeout as sleep } from "node:timers/promises";
import type { Play } from "./acts.ts";
import type { Actor } from "./cast.ts";
import { differencesOf, lackedDeeds } from "./compare.ts";
import { type View, viewOf } from "./view.ts";

/** After how long it is certain that servers will not agree, also on a machine with much else to do. */
const PATIENCE_MS = 60_000;

/**
 * How long servers have to agree by themselves before somebody speaks: so long, and so many looks at them, each of which
 * takes long on a busy machine.
 */
const SILENCE_MS = 500;
const LEAST_LOOKS = 5;

/** Each room, as each server has it. */
export type Views = ReadonlyMap<string, readonly View[]>;

export type Healed = {
  readonly views: Views;
  readonly differences: readonly string[];
  readonly sendingMs: number;
};

/** Waits until all agree; if they do not, somebody says something now and then, which tells the others of what they lack. */
export async function heal(play: Play, anchors: readonly Actor[]): Promise<Healed> {
  const begun = performance.now();
  const until = begun + PATIENCE_MS;
  const look = async () => await viewsOf(play, anchors);
  // What ours have taken, ours send, whether anybody says anything more or not.
  const toOurs = (views: Views) =>
    [...views].flatMap(([roomId, ofRoom]) =>
      lackedDeeds(
        play.deeds.filter((it) => it.roomId === roomId && it.actor.player.isOurs),
        ofRoom.filter((it) => it.of.player.isOurs),
      ),
    );
  let views = await look();
  while (toOurs(views).length > 0 && performance.now() < until) {
    await sleep(100);
    views = await look();
  }
  const lacked = toOurs(views);
  const sendingMs = performance.now() - begun;
  if (lacked.length > 0) return { views, differences: lacked, sendingMs };

  for (let turn = 0; ; turn++) {
    const speaker = anchors[turn % anchors.length];
    if (speaker) await speak(play, speaker);
    const quietUntil = performance.now() + SILENCE_MS;
    for (let looks = 0; looks < LEAST_LOOKS || performance.now() < quietUntil; looks++) {
      if (looks > 0) await sleep(100);
      views = await look();
      const differences = [...views].flatMap(([roomId, it]) =>
        differencesOf(it).map((difference) => `${roomId}: ${difference}`),
      );
      const isOver = differences.length === 0 || performance.now() > until;
      if (isOver) return { views, differences, sendingMs };
    }
  }
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
