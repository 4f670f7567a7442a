import { z } from "zod";
import { DeliveryError } from "../load/delivery.ts";
import { type Account, ask } from "../load/matrix-client.ts";
import { type Connections, fillRoom, openConnections, registerUsers } from "../load/population.ts";
import { sendMessages } from "../load/send-load.ts";
import { measure, type Stage } from "../load/stage.ts";
import { numberAt, type Workload } from "./workload.ts";

const MEMBERS = 10;
const IN_FLIGHT = 32;
const PAGE = 100;

/** W11: a room read back to its beginning, a hundred events at a time. */
export const pageBack: Workload = {
  id: "W11",
  title: "/messages, pages of 100",
  cases: new Map([
    ["W11/5000", "S"],
    ["W11/50000", "M"],
    ["W11/500000", "L"],
  ]),
  run,
};

const page = z.object({
  chunk: z.array(z.object({ event_id: z.string() })),
  end: z.string().optional(),
});

async function run(stage: Stage, cases: readonly string[]): Promise<void> {
  const connections = openConnections(stage.target);
  const users = await registerUsers(connections, "w11-", MEMBERS);
  for (const id of cases) {
    const count = numberAt(id, 1);
    const room = await fillRoom(connections.lane(0), users);
    const loaded = { room, sent: new Map<string, number>(), readers: [] };
    await sendMessages(connections, { rooms: [loaded], count, inFlight: IN_FLIGHT });
    const [reader] = users;
    if (!reader) throw new Error("Nobody could be registered.");
    // Nothing of what is read is in memory.
    await stage.restart();
    const seen = new Set<string>();
    const measurement = await measure(stage, id, {
      operations: Math.ceil(count / PAGE),
      connections,
      run: async () => await readBack(connections, reader, { roomId: room.roomId, seen }),
    });
    for (const eventId of loaded.sent.keys()) {
      if (!seen.has(eventId)) throw new DeliveryError("a message was on no page");
    }
    await stage.report(measurement);
  }
  connections.close();
}

async function readBack(
  connections: Connections,
  reader: Account,
  { roomId, seen }: { readonly roomId: string; readonly seen: Set<string> },
): Promise<number[]> {
  const times: number[] = [];
  let from = "";
  do {
    const path = `/rooms/${encodeURIComponent(roomId)}/messages?dir=b&limit=${PAGE}${from}`;
    const start = performance.now();
    const answer = await ask(connections.lane(0), { method: "GET", path, account: reader });
    times.push(performance.now() - start);
    const { chunk, end } = page.parse(JSON.parse(answer.toString()));
    for (const { event_id } of chunk) {
      if (seen.has(event_id)) throw new DeliveryError("an event was on two pages");
      seen.add(event_id);
    }
    from = end === undefined ? "" : `&from=${encodeURIComponent(end)}`;
  } while (from !== "");
  return times;
}
