import { type Person, register } from "./person.ts";
import { type Holdings, storedEvents } from "./stored-events.ts";
import type { Subsidiary } from "./subsidiary.ts";

/** How many messages are said while a server is down. */
const MISSED = 20;

/** How the story is told. */
export type Telling = {
  readonly say: (line?: string) => void;
  /** The rooms by their IDs, with what people call them: more come as they are made. */
  readonly rooms: Map<string, string>;
  /** Ends whatever goes on. */
  readonly signal: AbortSignal;
};

type Three = readonly [Subsidiary, Subsidiary, Subsidiary];

/**
 * Has people of three subsidiaries talk with each other, and one of the servers fail meanwhile.
 *
 * @throws Error if anything is other than it should be at the end.
 */
export async function tellStory(three: Three, telling: Telling): Promise<void> {
  const { say, signal, rooms } = telling;
  const [berlin, lyon, warsaw] = three;
  const [anna, claire, camille, dawid] = [
    await register(berlin, "Anna", signal),
    await register(lyon, "Claire", signal),
    await register(lyon, "Camille", signal),
    await register(warsaw, "Dawid", signal),
  ];
  say("People");
  for (const { name, userId } of [anna, claire, camille, dawid]) say(`  ${name} is ${userId}`);

  say("\nRooms");
  const group = await makeRooms({ anna, claire, camille, dawid }, telling);

  say("\nMessages, and when the others have them");
  for (const speaker of [anna, claire, dawid]) {
    const hearers = [anna, claire, dawid].filter((one) => one !== speaker);
    const text = `Good morning from ${speaker.at.city}`;
    const eventId = await speaker.say(group, text);
    const seen = await Promise.all(
      hearers.map(async (one) => `${one.at.city} ${ms(await one.untilSeen(group, eventId))}`),
    );
    say(`  ${speaker.name}: "${text}": ${seen.join(", ")}`);
  }

  say(`\n${warsaw.city} fails: its server is killed`);
  await warsaw.kill();
  await missSome(group, { anna, claire, dawid }, telling);

  const holdings = await storedEvents(three);
  sayWhatLiesWhere(holdings, rooms, say);
  requireResidency(holdings, rooms);
}

type Cast = { readonly [name in "anna" | "claire" | "camille" | "dawid"]: Person };

async function makeRooms(
  { anna, claire, camille, dawid }: Cast,
  { say, rooms }: Telling,
): Promise<string> {
  const alias = `#group:${anna.at.serverName}`;
  const group = await anna.createRoom({
    name: "The group",
    preset: "public_chat",
    room_alias_name: "group",
  });
  rooms.set(group, "The group");
  say(`  Anna makes "The group" in Berlin, for everybody who knows ${alias}`);
  for (const one of [claire, dawid]) {
    const took = await timed(async () => await one.join(alias));
    say(`  ${one.name} joins it by that alias from ${one.at.city}: ${ms(took)}`);
  }

  const pair = await anna.createRoom({ name: "Berlin and Lyon", preset: "private_chat" });
  rooms.set(pair, "Berlin and Lyon");
  await anna.invite(pair, claire);
  await claire.untilInvited(pair);
  await claire.join(pair, [anna.at.serverName]);
  say('  Anna makes "Berlin and Lyon" and invites Claire, who joins it: Warsaw is not in it');
  await anna.untilSeen(pair, await claire.say(pair, "Between the two of us"));

  const alone = await claire.createRoom({ name: "Lyon alone", preset: "private_chat" });
  rooms.set(alone, "Lyon alone");
  await claire.invite(alone, camille);
  await camille.join(alone);
  say(`  Claire makes "Lyon alone" and invites ${camille.name}, of Lyon as well`);
  await camille.untilSeen(alone, await claire.say(alone, "This stays in Lyon"));
  return group;
}

async function missSome(
  group: string,
  { anna, claire, dawid }: Omit<Cast, "camille">,
  { say }: Telling,
): Promise<void> {
  const warsaw = dawid.at;
  const said: string[] = [];
  let last = "";
  for (let count = 1; count <= MISSED; count++) {
    const speaker = count % 2 === 0 ? claire : anna;
    const text = `${speaker.name} says number ${count}`;
    last = await speaker.say(group, text);
    said.push(text);
    await (speaker === anna ? claire : anna).untilSeen(group, last);
  }
  say(`  Anna and Claire say ${MISSED} things meanwhile, and hear each other`);
  const took = await timed(async () => await warsaw.start());
  const caughtUp = await dawid.untilSeen(group, last);
  say(
    `  ${warsaw.city}'s server is started again (${ms(took)}), and has all ${ms(caughtUp)} later`,
  );
  const heard = (await dawid.textsOf(group)).slice(-MISSED);
  if (heard.join() !== said.join()) {
    throw new Error(`Dawid should hear:\n${said.join("\n")}\nbut hears:\n${heard.join("\n")}`);
  }
  say(`  Dawid reads all ${MISSED}, in the order in which they were said`);
}

function sayWhatLiesWhere(
  holdings: Holdings,
  rooms: ReadonlyMap<string, string>,
  say: Telling["say"],
): void {
  const cities = [...holdings.keys()].map(({ city }) => city);
  const row = (title: string, cells: readonly unknown[]) =>
    `  ${title.padEnd(20)}${cells.map((cell) => String(cell).padStart(10)).join("")}`;
  say("\nHow many events of each room lie in whose database");
  say(row("", cities));
  for (const [roomId, name] of rooms) {
    say(
      row(
        name,
        [...holdings.keys()].map((one) => idsIn(holdings, one, roomId).length || "none"),
      ),
    );
  }
}

/** @throws Error if an event lies where it should not, or does not where it should. */
function requireResidency(holdings: Holdings, rooms: ReadonlyMap<string, string>): void {
  const places: Readonly<Record<string, readonly string[]>> = {
    "The group": ["Berlin", "Lyon", "Warsaw"],
    "Berlin and Lyon": ["Berlin", "Lyon"],
    "Lyon alone": ["Lyon"],
  };
  for (const [roomId, name] of rooms) {
    const sets = new Set<string>();
    for (const one of holdings.keys()) {
      const ids = idsIn(holdings, one, roomId);
      const isAtHome = places[name]?.includes(one.city) === true;
      if (isAtHome) sets.add(ids.toSorted().join());
      else if (ids.length > 0) throw new Error(`Events of "${name}" lie in ${one.city}.`);
    }
    if (sets.size !== 1) throw new Error(`The servers have different events of "${name}".`);
  }
}

function idsIn(holdings: Holdings, one: Subsidiary, roomId: string): string[] {
  return [...(holdings.get(one)?.values() ?? [])]
    .filter((row) => row.roomId === roomId)
    .map(({ eventId }) => eventId);
}

async function timed(subject: () => Promise<void>): Promise<number> {
  const begun = performance.now();
  await subject();
  return performance.now() - begun;
}

function ms(duration: number): string {
  return `${Math.round(duration)} ms`;
}
