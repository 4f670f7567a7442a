import { setTimeout as sleep } from "node:timers/promises";
import { z } from "zod";
import { type Pdu, stateKeyOf, type StateKey } from "#src/events/pdu.ts";
import { resolveState } from "#src/events/state-resolution/resolve.ts";
import type { EventId } from "#src/kit/identifiers.ts";
import { DeliveryError } from "../load/delivery.ts";
import { type Account, ask, putEvent } from "../load/matrix-client.ts";
import { type Connections, openConnections, registerUsers } from "../load/population.ts";
import { measure, type Stage } from "../load/stage.ts";
import { warmUpSending } from "../load/warm-up.ts";
import { exchange } from "../peer/join-elsewhere.ts";
import type { HeldEvent, PeerRoom } from "../peer/peer-room.ts";
import { type Peer, startPeer } from "../peer/peer.ts";
import { commonRoom } from "./inbound.ts";
import { numberAt, type Workload } from "./workload.ts";

const TYPE = "bench.entry";
const TOGETHER = 50;
const PATIENCE_MS = 180_000;

const StateOfRoom = z.array(
  z.object({ type: z.string(), state_key: z.string(), event_id: z.string() }),
);

/**
 * W7: two servers that could not reach each other have both set the same entries of a room's state; one operation is
 * the healing of all that.
 */
export const healing: Workload = {
  id: "W7",
  title: "healing of a room",
  beyondNull: true,
  cases: new Map([
    ["W7/100", "S"],
    ["W7/500", "S"],
  ]),
  run,
};

async function run(stage: Stage, cases: readonly string[]): Promise<void> {
  const connections = openConnections(stage.target);
  const users = await registerUsers(connections, "w7-", 2);
  const [user] = users;
  if (user === undefined) throw new Error("Nobody could be registered.");
  const peer = await startPeer(stage.federation);
  await warmUpSending(stage, connections, users);
  for (const id of cases) {
    const room = await commonRoom(connections, user, { peer, creator: `creator-${id}` });
    const ours = await part(connections, user, { peer, room, entries: numberAt(id, 1) });
    peer.received.length = 0;
    let expected: ReadonlyMap<StateKey, EventId> = new Map();
    const measurement = await measure(stage, id, {
      operations: 1,
      connections,
      run: async () => {
        const begun = performance.now();
        await peer.comeUp();
        for (const one of ours) await exchange(connections.lane(0), one);
        const theirs = await untilReceived(peer, room, numberAt(id, 1));
        const healedMs = performance.now() - begun;
        expected = resolved(room, theirs);
        return [healedMs];
      },
    });
    await requireState(connections, user, { room, expected });
    await stage.report(measurement);
  }
  connections.close();
}

type Parted = { readonly peer: Peer; readonly room: PeerRoom; readonly entries: number };

/** Has both set the same entries, out of each other's reach. @returns what the peer will send then */
async function part(
  connections: Connections,
  user: Account,
  { peer, room, entries }: Parted,
): Promise<string[]> {
  await peer.goDown();
  const sender = room.events.values().next().value?.event.sender;
  if (sender === undefined) throw new Error("A room has no beginning.");
  const transactions: string[] = [];
  const set: HeldEvent[] = [];
  for (let entry = 0; entry < entries; entry++) {
    const path = `state/${TYPE}/${entry}`;
    await putEvent(connections.lane(0), user, {
      roomId: room.roomId,
      path,
      content: '{"by":"one"}',
    });
    set.push(room.add(sender, { type: TYPE, state_key: `${entry}`, content: { by: "two" } }));
  }
  for (let at = 0; at < entries; at += TOGETHER) {
    transactions.push(peer.transaction(set.slice(at, at + TOGETHER)));
  }
  return transactions;
}

/** Waits until the peer has what the other has set. */
async function untilReceived(peer: Peer, room: PeerRoom, entries: number): Promise<Pdu[]> {
  const deadline = performance.now() + PATIENCE_MS;
  const its = () => peer.received.filter(({ type }) => type === TYPE);
  while (its().length < entries) {
    if (performance.now() > deadline) {
      throw new Error(`Of ${entries} entries ${its().length} were sent after three minutes.`);
    }
    await sleep(20);
  }
  return its().map((wire) => room.takeAside(wire));
}

/** What the specification makes of both servers' states. */
function resolved(room: PeerRoom, theirs: readonly Pdu[]): ReadonlyMap<StateKey, EventId> {
  const mine = room.state();
  const other = new Map(mine);
  for (const { type, state_key: key = "", event_id: id } of theirs) {
    other.set(stateKeyOf(type, key), id);
  }
  const events = new Map([...room.events].map(([id, { event }]) => [id, event]));
  return resolveState([mine, other], { events, rejected: new Set() }, room.rules);
}

/** @throws DeliveryError unless the server comes to the state that is expected. */
async function requireState(
  connections: Connections,
  account: Account,
  { room, expected }: { room: PeerRoom; expected: ReadonlyMap<StateKey, EventId> },
): Promise<void> {
  const path = `/rooms/${encodeURIComponent(room.roomId)}/state`;
  const answer = await ask(connections.lane(0), { method: "GET", path, account });
  const state = StateOfRoom.parse(JSON.parse(answer.toString()));
  const wrong = state.filter((it) => {
    return expected.get(stateKeyOf(it.type, it.state_key)) !== it.event_id;
  });
  if (state.length === expected.size && wrong.length === 0) return;
  throw new DeliveryError(
    `${wrong.length} of ${expected.size} entries of the state are other than they should be`,
  );
}
