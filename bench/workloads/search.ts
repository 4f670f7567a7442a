import { z } from "zod";
import { closedLoop } from "../load/arrivals.ts";
import { DeliveryError } from "../load/delivery.ts";
import { type Account, ask, newTransactionId, putEvent } from "../load/matrix-client.ts";
import { type Connections, fillRooms, openConnections, registerUsers } from "../load/population.ts";
import { measure, type Stage } from "../load/stage.ts";
import { nextText } from "../load/texts.ts";
import { numberAt, type Workload } from "./workload.ts";

const ROOMS = 20;
const MEMBERS = 3;
const IN_FLIGHT = 32;
const SEARCHES = 200;
const WARM_UP = 20;

/** One in so many of what is sent is looked for. */
const LOOKED_FOR = 50;

/** W12: searches in what was said in 20 rooms, for words and characters that were said there. */
export const search: Workload = {
  id: "W12",
  title: "search",
  cases: new Map([
    ["W12/10000", "S"],
    ["W12/100000", "M"],
    ["W12/1000000", "L"],
  ]),
  run,
};

const answered = z.object({
  search_categories: z.object({ room_events: z.object({ results: z.array(z.unknown()) }) }),
});

async function run(stage: Stage, cases: readonly string[]): Promise<void> {
  const connections = openConnections(stage.target);
  const users = await registerUsers(connections, "w12-", MEMBERS);
  const [reader] = users;
  if (!reader) throw new Error("Nobody could be registered.");
  const rooms = await fillRooms(connections, ROOMS, () => users);
  const terms: string[] = [];
  let sent = 0;
  for (const id of cases) {
    await closedLoop(
      { count: numberAt(id, 1) - sent, inFlight: IN_FLIGHT },
      async (index, lane) => {
        const { body, term } = nextText(index % 2 === 0);
        if (Math.floor(index / 2) % LOOKED_FOR === 0) terms.push(term);
        const { roomId } = rooms[index % ROOMS] ?? { roomId: "" };
        const path = `send/m.room.message/${newTransactionId()}`;
        const content = JSON.stringify({ msgtype: "m.text", body });
        await putEvent(connections.lane(lane), reader, { roomId, path, content });
      },
    );
    sent = numberAt(id, 1);
    // What was sent is taken in behind.
    await lookFor(connections, reader, terms.slice(0, WARM_UP));
    await measureSearches(stage, id, { connections, reader, terms });
  }
  connections.close();
}

async function measureSearches(
  stage: Stage,
  id: string,
  {
    connections,
    reader,
    terms,
  }: {
    readonly connections: Connections;
    readonly reader: Account;
    readonly terms: readonly string[];
  },
): Promise<void> {
  const step = Math.max(1, Math.floor(terms.length / SEARCHES));
  const asked = terms.filter((_, index) => index % step === 0).slice(0, SEARCHES);
  const measurement = await measure(stage, id, {
    operations: asked.length,
    connections,
    run: async () => await lookFor(connections, reader, asked),
  });
  await stage.report(measurement);
}

/** Looks for what was said, one after the other: each must be found. */
async function lookFor(
  connections: Connections,
  reader: Account,
  terms: readonly string[],
): Promise<number[]> {
  const times: number[] = [];
  for (const [index, search_term] of terms.entries()) {
    const order_by = index % 2 === 0 ? "recent" : "rank";
    const room_events = { search_term, order_by, keys: ["content.body"] };
    const start = performance.now();
    const answer = await ask(connections.lane(0), {
      method: "POST",
      path: "/search",
      account: reader,
      body: JSON.stringify({ search_categories: { room_events } }),
    });
    times.push(performance.now() - start);
    const { results } = answered.parse(JSON.parse(answer.toString())).search_categories.room_events;
    if (results.length === 0) throw new DeliveryError("a search has not found what was said");
  }
  return times;
}
