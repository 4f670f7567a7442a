import { setTimeout as sleep } from "node:timers/promises";
import { Dice } from "../oracle/dice.ts";
import { act, type Play } from "./acts.ts";
import { type Actor, assembleCast, type Cast } from "./cast.ts";
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
const SEEING_MS = 30_000;

/**
 * Has users on all servers do random things while the network between these does what it will, heals it, and waits until
 * all servers have and show the same.
 *
 * @param seeds of trials that are made at once, in the same weather, each with its own users and rooms.
 */
export async function runTrials(stage: Stage, seeds: readonly number[]): Promise<TrialResult[]> {
  const { network } = stage;
  network.weather = () => "fair";
  const all = seeds.map((seed) => new Dice(seed));
  const [first = new Dice(0)] = all;
  network.dice = new Dice(first.below(2 ** 32));
  const casts = await Promise.all(all.map(async (dice) => await assembleCast(stage, dice)));
  const trials = casts.map((cast, index) => new Trial(stage, cast, all[index] ?? first));
  try {
    await storm(stage, first);
    return await Promise.all(trials.map(async (it) => await it.end()));
  } finally {
    for (const it of trials) it.stop();
    network.weather = () => "fair";
  }
}

/** What users do, and what comes of it. */
class Trial {
  readonly #stage: Stage;
  readonly #play: Play;
  readonly #anchors: readonly Actor[];
  readonly #onlookers: readonly Onlooker[];
  readonly #acting: Promise<unknown>;
  readonly #looking: Promise<unknown>;
  #hasHealed = false;

  /** Has users begin. */
  constructor(stage: Stage, cast: Cast, dice: Dice) {
    const chance = () => new Dice(dice.below(2 ** 32));
    this.#stage = stage;
    this.#play = { cast, deeds: [], faults: [], isOver: false };
    this.#anchors = cast.actors.filter((it) => it.isAnchor);
    this.#onlookers = this.#anchors
      .filter((it) => it.player.isOurs)
      .map((it) => new Onlooker(it, chance()));
    const following = this.#onlookers.map(
      async (it) => await it.followUntil(() => this.#hasHealed),
    );
    this.#looking = Promise.all(following);
    this.#acting = Promise.all(cast.actors.map(async (it) => await act(this.#play, it, chance())));
    // They are awaited at the end, and must not be forgotten if something throws before.
    for (const it of [this.#looking, this.#acting]) it.catch(() => undefined);
  }

  /** Ends what the users do, and waits until all agree. The network must be well again. */
  async end(): Promise<TrialResult> {
    const play = this.#play;
    play.isOver = true;
    await this.#acting;
    const begun = performance.now();
    const healed = await heal(play, this.#anchors, this.#stage.network);
    const healingMs = performance.now() - begun;
    const doubts = healed.differences.length > 0 ? this.#stage.synapsesDoubts() : [];
    this.#hasHealed = true;
    await this.#looking;
    const lackedIn = (views: Views) =>
      [...views.values()].map((it) => lackedBySynapse(this.#stage.network, it));
    const { views, faults } = await seeAll(play, this.#anchors, {
      onlookers: this.#onlookers,
      further: (it) => lackedIn(it).flatMap(({ unsent }) => unsent),
    });
    return {
      faults: [...play.faults, ...healed.differences, ...doubts, ...faults],
      deeds: play.deeds.length,
      healingMs,
      sendingMs: healed.sendingMs,
      lostBySynapse: lackedIn(views).reduce((sum, it) => sum + it.lost, 0),
      softFailed: softFailedIn(views),
    };
  }

  /** Ends it, however far it has come. */
  stop(): void {
    this.#play.isOver = true;
    this.#hasHealed = true;
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
