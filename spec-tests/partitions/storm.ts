import { setTimeout as sleep } from "node:timers/promises";
import type { Dice } from "../oracle/dice.ts";
import type { Weather } from "./faulty-network.ts";
import type { Stage } from "./stage.ts";

/** How long the network is as bad as it gets. */
const STORM_MS = 1_500;
const LONGEST_SPELL_MS = 500;

/** Lets the weather change again and again, and leaves it fair. */
export async function storm({ network, players }: Stage, dice: Dice): Promise<void> {
  const until = performance.now() + STORM_MS;
  while (performance.now() < until) {
    network.weather = dice.weighted(SPELLS)(
      players.map((it) => it.name),
      dice,
    );
    await sleep(50 + dice.below(LONGEST_SPELL_MS));
  }
  network.weather = () => "fair";
}

type Spell = (names: readonly string[], dice: Dice) => (from: string, to: string) => Weather;

const SPELLS: readonly (readonly [weight: number, spell: Spell])[] = [
  [1, () => () => "fair"],
  [3, () => () => "foul"],
  [
    5,
    // Two halves that do not hear of each other.
    (names, dice) => {
      const apart = new Set(dice.some(names, 50));
      const within = dice.pick<Weather>(["fair", "foul"]);
      return (from, to) => (apart.has(from) === apart.has(to) ? within : "cut");
    },
  ],
  [
    3,
    // Some can be heard and not hear.
    (names, dice) => {
      const ways = names.flatMap((from) => names.map((to) => `${from} ${to}`));
      const cut = new Set(dice.some(ways, 40));
      return (from, to) => (cut.has(`${from} ${to}`) ? "cut" : "fair");
    },
  ],
  [1, () => () => "cut"],
];
