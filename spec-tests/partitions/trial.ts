import { setTimeout as sleep } from "node:timers/promises";
import { Dice } from "../oracle/dice.ts";
import { act, type Play } from "./acts.ts";
import { type Actor, assembleCast } from "./cast.ts";
import { faultsOfSeen, lackedBySynapse } from "./compare.ts";
import { heal, type Views, viewsOf } from "./heal.ts";
import { Onlooker } from "./onlooker.ts";
import type { Stage } from "./stage.ts";
import { storm } from "./storm.ts";

export type TrialResult = {
  readonly faults: readonly string[];
  /** Events that a server said to have taken. */
  readonly deeds: number;
  /** How long it took until all agreed; of that, until ours had all that ours had taken. */
  readonly healingMs: number;
  readonly sendingMs: number;
  /** How many events Synapse was given and does not have. */
  readonly lostBySynapse: number;
  /** How many events some server does not show since they were against the state by the time they came. */
  readonly softFailed: number;
};

/** How long clients have to see what their servers have, while something may come late still. */
const SEEING_MS = 15_000;

/**
 * Has users on all servers do random things while the network between these does what it will, heals it, and waits until
 * all servers have and show the same.
 */
export async function runTrial(stage: Stage, seed: number): Promise<TrialResult> {
  const dice = new Dice(seed);
  const { network } = stage;
  network.weather = () => "fair";
  network.dice = new Dice(dice.below(2 ** 32));
  const cast = await assembleCast(stage, dice);
  const anchors = cast.actors.filter((it) => it.isAnchor);
  const play: Play = { cast, deeds: [], faults: [], isOver: false };
  let hasHealed = false;
  const onlookers = anchors
    .filter((it) => it.player.isOurs)
    .map((it) => new Onlooker(it, new Dice(dice.below(2 ** 32))));
  const looking = Promise.all(onlookers.map(async (it) => await it.followUntil(() => hasHealed)));
  // It is awaited at the end, and must not be forgotten if something throws before.
  looking.catch(() => undefined);

  try {
    const acting = cast.actors.map(
      async (it) => await act(play, it, new Dice(dice.below(2 ** 32))),
    );
    await storm(stage, dice);
    play.isOver = true;
    await Promise.all(acting);

    const begun = performance.now();
    const healed = await heal(play, anchors);
    const healingMs = performance.now() - begun;
    hasHealed = true;
    await looking;
    const lackedIn = (views: Views) =>
      [...views.values()].map((it) => lackedBySynapse(network, it));
    const { views, faults } = await seeAll(play, anchors, {
      onlookers,
      further: (it) => lackedIn(it).flatMap(({ unsent }) => unsent),
    });
    return {
      faults: [...play.faults, ...healed.differences, ...faults],
      deeds: play.deeds.length,
      healingMs,
      sendingMs: healed.sendingMs,
      lostBySynapse: lackedIn(views).reduce((sum, it) => sum + it.lost, 0),
      softFailed: softFailedIn(views),
    };
  } finally {
    play.isOver = true;
    hasHealed = true;
    network.weather = () => "fair";
  }
}

/** Has clients sync until they see what their servers have, and there are no further faults. */
async function seeAll(
  play: Play,
  anchors: readonly Actor[],
  {
    onlookers,
    further,
  }: {
    readonly onlookers: readonly Onlooker[];
    readonly further: (views: Views) => readonly string[];
  },
): Promise<{ readonly views: Views; readonly faults: readonly string[] }> {
  const deadline = performance.now() + SEEING_MS;
  for (;;) {
    for (const it of onlookers) await it.finish();
    const views = await viewsOf(play, anchors);
    const unseen = [...views].flatMap(([roomId, ofRoom]) =>
      ofRoom
        .filter((it) => it.of.player.isOurs)
        .flatMap((view, index) => faultsOfSeen(onlookers[index]?.rooms.get(roomId), view)),
    );
    const faults = [...unseen, ...further(views)];
    if (faults.length === 0 || performance.now() > deadline) return { views, faults };
    await sleep(200);
  }
}

function softFailedIn(views: Views): number {
  const ids = [...views.values()]
    .flat()
    .flatMap((it) => [...it.kept].filter(([, { standing }]) => standing === "soft-failed"))
    .map(([id]) => id);
  return new Set(ids).size;
}
