import type { ClientEvent } from "../answers.ts";
import { demand } from "../faults/call.ts";
import { type Read, walkRoom } from "../faults/walk-room.ts";
import type { Actor } from "./cast.ts";
import { slotOf } from "./onlooker.ts";
import type { Kept } from "./stage.ts";

/** What a server shows of an event. */
export type Shown = {
  readonly text: string;
  /** The redaction that was applied to it. */
  readonly redactedBy: string | undefined;
};

/** A room as one server has it, and shows it to one who has always been in it. */
export type View = {
  readonly of: Actor;
  readonly kept: ReadonlyMap<string, Kept>;
  /** What is shown of events, by their IDs; newest first. */
  readonly shown: ReadonlyMap<string, Shown>;
  /** The IDs of the current state's events, by type and state key. */
  readonly state: ReadonlyMap<string, string>;
  /** Everybody's membership. */
  readonly members: ReadonlyMap<string, string>;
  readonly joined: readonly string[];
};

const PAGE = 100;

/** It may ask others for a page of the past, and has taken half a minute to take that in on a busy machine. */
const PATIENCE_WITH_SYNAPSE_MS = 90_000;

/** Looks at a room. */
export async function viewOf(actor: Actor, roomId: string): Promise<View> {
  const read: Read = async (path) =>
    await demand(actor.player.url, {
      method: "GET",
      path,
      token: actor.user.accessToken,
      ...(!actor.player.isOurs && { patienceMs: PATIENCE_WITH_SYNAPSE_MS }),
    });
  const room = `/v3/rooms/${encodeURIComponent(roomId)}`;
  const history = await walkRoom(read, roomId, {
    direction: "b",
    limit: () => PAGE,
    isPatient: true,
  });
  const state = await read<readonly ClientEvent[]>(`${room}/state`);
  const members = await read(`${room}/members`);
  const { joined } = await read(`${room}/joined_members`);
  return {
    of: actor,
    kept: await actor.player.keptOf(roomId),
    shown: new Map(history.map((it) => [it.event_id, shownOf(it)])),
    state: new Map(state.map((it) => [slotOf(it), it.event_id])),
    members: new Map(members.chunk.map((it) => [it.state_key, it.content.membership])),
    joined: Object.keys(joined).toSorted(),
  };
}

function shownOf({ type, sender, state_key: key, content, unsigned }: ClientEvent): Shown {
  const sorted = Object.entries(content).toSorted(([a], [b]) => (a < b ? -1 : 1));
  const text = JSON.stringify([type, sender, key ?? null, sorted]);
  return { text, redactedBy: unsigned?.redacted_because?.event_id };
}
