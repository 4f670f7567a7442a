import { closedLoop } from "./arrivals.ts";
import { newTransactionId, type Outgoing, putEvent } from "./matrix-client.ts";
import {
  editContent,
  kindAt,
  markNumber,
  type Mark,
  messageContent,
  redactionContent,
  stateContent,
} from "./payloads.ts";
import type { Connections } from "./population.ts";
import { type LoadedRoom, memberAt } from "./send-load.ts";

/** What state events are about: fifty things whose state changes again and again. */
const STATE_KEYS = 50;

/** What one lane has to go on from in one room. */
type Lane = { ordinal: number; readonly messages: Map<string, string[]> };

/**
 * Sends what real rooms have: messages, state, redactions and edits.
 *
 * @returns how long each took, in milliseconds
 */
export async function sendMixed(
  connections: Connections,
  plan: {
    readonly rooms: readonly LoadedRoom[];
    readonly count: number;
    readonly inFlight: number;
  },
): Promise<number[]> {
  const { rooms, count, inFlight } = plan;
  const times: number[] = [];
  const lanes = Array.from({ length: inFlight }, (): Lane => ({ ordinal: 0, messages: new Map() }));
  await closedLoop({ count, inFlight }, async (index, number) => {
    const loaded = rooms[index % rooms.length];
    const lane = lanes[number];
    if (loaded === undefined || lane === undefined) throw new Error("A load must have a room.");
    const mark = { stream: number, ordinal: lane.ordinal++ };
    const { roomId } = loaded.room;
    const earlier = lane.messages.get(roomId) ?? [];
    lane.messages.set(roomId, earlier);
    const kind = earlier.length === 0 ? "message" : kindAt(mark.ordinal);
    const outgoing = outgoingOf(kind, { roomId, mark, earlier });
    const start = performance.now();
    const sender = memberAt(loaded.room, Math.floor(index / rooms.length));
    const eventId = await putEvent(connections.lane(number), sender, outgoing);
    times.push(performance.now() - start);
    if (kind === "message") earlier.push(eventId);
    loaded.sent.set(eventId, markNumber(mark));
  });
  return times;
}

function outgoingOf(
  kind: ReturnType<typeof kindAt>,
  {
    roomId,
    mark,
    earlier,
  }: { readonly roomId: string; readonly mark: Mark; readonly earlier: string[] },
): Outgoing {
  const transaction = newTransactionId();
  switch (kind) {
    case "message":
      return {
        roomId,
        path: `send/m.room.message/${transaction}`,
        content: messageContent(mark),
      };
    case "edit":
      return {
        roomId,
        path: `send/m.room.message/${transaction}`,
        content: editContent(mark, earlier.at(-1) ?? ""),
      };
    case "state":
      return {
        roomId,
        path: `state/org.example.status/${mark.ordinal % STATE_KEYS}`,
        content: stateContent(mark),
      };
    case "redaction":
      return {
        roomId,
        path: `redact/${encodeURIComponent(earlier.shift() ?? "")}/${transaction}`,
        content: redactionContent(mark),
      };
  }
}
