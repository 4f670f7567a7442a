import { setTimeout as sleep } from "node:timers/promises";
import { z } from "zod";
import { DeliveryError } from "../load/delivery.ts";
import { type Account, ask } from "../load/matrix-client.ts";
import { type Connections, openConnections, registerUsers } from "../load/population.ts";
import { measure, type Stage } from "../load/stage.ts";
import { warmUpSending } from "../load/warm-up.ts";
import type { PeerRoom } from "../peer/peer-room.ts";
import { type Peer, startPeer } from "../peer/peer.ts";
import { numberAt, type Workload } from "./workload.ts";

const joinedMembers = z.object({ joined: z.record(z.string(), z.unknown()) });

/** How often it is asked for the members until all are there. */
const LOOK_EVERY_MS = 50;

/** Of each size so many rooms, one after another. */
const JOINS = 3;

/** W6: the first user of the server that comes to a room of another. */
export const federatedJoin: Workload = {
  id: "W6",
  title: "federated join",
  beyondNull: true,
  cases: new Map([
    ["W6/100", "S"],
    ["W6/1000", "S"],
    ["W6/10000", "M"],
  ]),
  run,
};

async function run(stage: Stage, cases: readonly string[]): Promise<void> {
  const connections = openConnections(stage.target);
  const users = await registerUsers(connections, "w6-", 2);
  const [user] = users;
  if (user === undefined) throw new Error("Nobody could be registered.");
  const peer = await startPeer(stage.federation);
  await warmUpSending(stage, connections, users);
  await join(connections, user, { peer, room: roomOf(peer, 1_000, "warm"), members: 1_000 });
  for (const id of cases) {
    const members = numberAt(id, 1);
    const joins = members > 1_000 ? 1 : JOINS;
    const rooms = Array.from({ length: joins }, (_, index) => roomOf(peer, members, `${index}`));
    const wholes: number[] = [];
    const measurement = await measure(stage, id, {
      operations: joins,
      connections,
      run: async () => {
        const answers: number[] = [];
        for (const room of rooms) {
          const { answerMs, wholeMs } = await join(connections, user, { peer, room, members });
          answers.push(answerMs);
          wholes.push(wholeMs);
        }
        return answers;
      },
    });
    const wholeMs = wholes.reduce((sum, one) => sum + one, 0) / joins;
    await stage.report({ ...measurement, figures: { wholeMs } });
  }
  connections.close();
}

function roomOf(peer: Peer, members: number, salt: string): PeerRoom {
  const creator = peer.user("creator");
  const room = peer.createRoom(creator);
  for (let index = 1; index < members; index++) {
    room.addMember(peer.user(`member-${members}-${salt}-${index}`));
  }
  const content = { msgtype: "m.text", body: "All are there." };
  room.add(creator, { type: "m.room.message", content });
  return room;
}

type Coming = { readonly peer: Peer; readonly room: PeerRoom; readonly members: number };

/** Joins, and waits until all members are known. */
async function join(
  connections: Connections,
  account: Account,
  { peer, room: { roomId }, members }: Coming,
): Promise<{ answerMs: number; wholeMs: number }> {
  const connection = connections.lane(0);
  const begun = performance.now();
  const server = encodeURIComponent(peer.name);
  const path = `/join/${encodeURIComponent(roomId)}?via=${server}&server_name=${server}`;
  await ask(connection, { method: "POST", path, account, body: "{}" });
  const answerMs = performance.now() - begun;
  await untilWhole(connections, account, { roomId, members: members + 1 });
  return { answerMs, wholeMs: performance.now() - begun };
}

/** Waits until a server knows all members of a room. */
export async function untilWhole(
  connections: Connections,
  account: Account,
  { roomId, members }: { readonly roomId: string; readonly members: number },
): Promise<void> {
  const connection = connections.lane(0);
  const begun = performance.now();
  const wanted = `/rooms/${encodeURIComponent(roomId)}/joined_members`;
  for (let known = 0; ; await sleep(LOOK_EVERY_MS)) {
    const answer = await ask(connection, { method: "GET", path: wanted, account });
    known = Object.keys(joinedMembers.parse(JSON.parse(answer.toString())).joined).length;
    if (known === members) return;
    if (performance.now() - begun > 120_000) {
      throw new DeliveryError(`${known} of ${members} members are known after two minutes`);
    }
  }
}
