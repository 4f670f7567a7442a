import { type Account, newTransactionId, putEvent } from "./matrix-client.ts";
import { messageContent } from "./payloads.ts";
import { type Connections, fillRoom } from "./population.ts";
import { memberAt } from "./send-load.ts";
import type { Size, Stage } from "./stage.ts";

/** The same time on both sides: a server that is quick has done more by then, as it will have in its life. */
const SECONDS: Readonly<Record<Size, number>> = { S: 3, M: 8, L: 15 };

/** Repeats something, eight at once, until just-in-time compilers and caches have seen enough of it. */
export async function warmUp(
  size: Size,
  task: (index: number, lane: number) => Promise<void>,
): Promise<void> {
  const end = performance.now() + SECONDS[size] * 1000;
  let next = 0;
  const runLane = async (lane: number) => {
    while (performance.now() < end) await task(next++, lane);
  };
  await Promise.all(Array.from({ length: 8 }, (_, lane) => runLane(lane)));
}

/** Sends to a room that is measured nowhere, and waits until all has been done that this brings about. */
export async function warmUpSending(
  stage: Stage,
  connections: Connections,
  users: readonly Account[],
): Promise<void> {
  const room = await fillRoom(connections.lane(0), users);
  await warmUp(stage.size, async (index, lane) => {
    await putEvent(connections.lane(lane), memberAt(room, index), {
      roomId: room.roomId,
      path: `send/m.room.message/${newTransactionId()}`,
      content: messageContent({ stream: lane, ordinal: index }),
    });
  });
  await stage.settle();
}
