import { setTimeout as sleep } from "node:timers/promises";
import { openLoop, seededRandom } from "../load/arrivals.ts";
import { firstSyncs } from "../load/audience.ts";
import { DeliveryError } from "../load/delivery.ts";
import { type Account, ask, newTransactionId, putEvent } from "../load/matrix-client.ts";
import { messageContent } from "../load/payloads.ts";
import { type Connections, fillRooms, openConnections, registerUsers } from "../load/population.ts";
import { type ReceiptWatcher, watchReceipts } from "../load/receipt-watcher.ts";
import { measure, type Stage } from "../load/stage.ts";
import { bySize, numberAt, type Workload } from "./workload.ts";

const MEMBERS = 10;
const RECEIPTS_EVERY_S = 2;
const TYPING_EVERY_S = 5;
const PATIENCE_MS = 10_000;

/** How long all do the same before it is counted: those who have just come online are told of each other, too. */
const BEFORE_S = 10;

/** W15: users in rooms of ten, online and waiting, who read and type. One operation is one second. */
export const ephemeral: Workload = {
  id: "W15",
  title: "receipts, typing, presence, each second",
  beyondNull: true,
  cases: new Map([["W15/200", "S"]]),
  run,
};

/** A user at work in a room: what there is to read, and who else is known to have read what. */
type Desk = {
  readonly account: Account;
  readonly roomId: string;
  readonly events: readonly string[];
  readonly watcher: ReceiptWatcher;
};

type Act = { readonly atMs: number; readonly desk: Desk; readonly request: Request };
type Request = { readonly method: "PUT" | "POST"; readonly path: string; readonly body: string };

async function run(stage: Stage, [id = "W15/200"]: readonly string[]): Promise<void> {
  const connections = openConnections(stage.target);
  const seconds = bySize(stage.size, [20, 120, 600]);
  const users = await registerUsers(connections, "w15-", numberAt(id, 1));
  const desks = await desksOf(stage, connections, { users, seconds });
  const all = actsOf(desks, BEFORE_S + seconds);
  const isBefore = ({ atMs }: Act) => atMs < BEFORE_S * 1000;
  await perform(connections, all.filter(isBefore));
  const acts = all.flatMap((one) =>
    isBefore(one) ? [] : [{ ...one, atMs: one.atMs - BEFORE_S * 1000 }],
  );
  const measurement = await measure(stage, id, {
    operations: seconds,
    connections,
    run: async () => await perform(connections, acts),
  });
  await check(desks);
  await Promise.all(desks.map(async ({ watcher }) => await watcher.stop()));
  await stage.report(measurement);
  connections.close();
}

async function desksOf(
  stage: Stage,
  connections: Connections,
  { users, seconds }: { readonly users: readonly Account[]; readonly seconds: number },
): Promise<Desk[]> {
  const rooms = await fillRooms(connections, users.length / MEMBERS, (index) =>
    users.slice(index * MEMBERS, (index + 1) * MEMBERS),
  );
  const desks: Desk[] = [];
  for (const room of rooms) {
    const events: string[] = [];
    const [writer] = room.members;
    if (writer === undefined) continue;
    for (let ordinal = 0; ordinal <= (BEFORE_S + seconds) / RECEIPTS_EVERY_S; ordinal++) {
      const path = `send/m.room.message/${newTransactionId()}`;
      const content = messageContent({ stream: 0, ordinal });
      const { roomId } = room;
      events.push(await putEvent(connections.lane(0), writer, { roomId, path, content }));
    }
    for (const synced of await firstSyncs(connections, room)) {
      const { account } = synced;
      const watcher = watchReceipts(stage.target, synced);
      desks.push({ account, roomId: room.roomId, events, watcher });
    }
  }
  return desks;
}

/** What all do, each at moments of their own. */
function actsOf(desks: readonly Desk[], seconds: number): Act[] {
  const random = seededRandom(15);
  const acts = desks.flatMap((desk) => {
    const room = `/rooms/${encodeURIComponent(desk.roomId)}`;
    const typingPath = `${room}/typing/${encodeURIComponent(desk.account.userId)}`;
    const reads = everySo(RECEIPTS_EVERY_S, seconds, random()).map((atMs, index) => {
      const path = `${room}/receipt/m.read/${encodeURIComponent(desk.events[index] ?? "")}`;
      return { atMs, desk, request: { method: "POST", path, body: "{}" } } as const;
    });
    const types = everySo(TYPING_EVERY_S, seconds, random()).map((atMs, index) => {
      const typing = index % 2 === 0;
      const body = JSON.stringify({ typing, ...(typing && { timeout: 20_000 }) });
      return { atMs, desk, request: { method: "PUT", path: typingPath, body } } as const;
    });
    return [...reads, ...types];
  });
  return acts.toSorted((a, b) => a.atMs - b.atMs);
}

function everySo(everyS: number, seconds: number, shift: number): number[] {
  return Array.from({ length: seconds / everyS }, (_, index) => (index + shift) * everyS * 1000);
}

async function perform(connections: Connections, acts: readonly Act[]): Promise<number[]> {
  const times: number[] = [];
  const free: number[] = [];
  let lanes = 0;
  await openLoop(
    acts.map(({ atMs }) => atMs),
    async (index, intendedMs) => {
      const one = acts[index];
      if (one === undefined) return;
      const lane = free.pop() ?? lanes++;
      await ask(connections.lane(lane), { ...one.request, account: one.desk.account });
      times.push(performance.now() - intendedMs);
      free.push(lane);
    },
  );
  return times;
}

/** Everybody knows how far everybody in the room has read. */
async function check(desks: readonly Desk[]): Promise<void> {
  const isKnown = ({ roomId, events, watcher }: Desk): boolean =>
    desks.every(
      (other) =>
        other.roomId !== roomId || watcher.read.get(other.account.userId) === events.at(-2),
    );
  const deadline = performance.now() + PATIENCE_MS;
  while (!desks.every(isKnown)) {
    if (performance.now() > deadline) throw new DeliveryError("a receipt has not come to somebody");
    await sleep(100);
  }
}
