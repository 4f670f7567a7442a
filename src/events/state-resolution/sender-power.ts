import type { Pdu, RoomGraph } from "../pdu.ts";
import { type PowerLevels, readPowerLevels } from "../power-levels.ts";
import type { RoomVersionRules } from "../room-versions.ts";
import { createEventOf } from "./create-event.ts";
import { powerLevelsCitedBy } from "./mainline-ordering.ts";
import type { SenderPower } from "./power-ordering.ts";

/** Whoever created a room whose create event we do not have. */
const NO_CREATE = { sender: "@:", content: {} } as const;

/**
 * The power of an event's sender "when looking at their respective auth_events": by the power levels
 * event and the create event that the event itself cites.
 *
 * Reads each power levels event once.
 *
 * @spec rooms/v12#definitions "Reverse topological power ordering"
 */
export function senderPower(graph: RoomGraph, rules: RoomVersionRules): SenderPower {
  const read = new Map<string, PowerLevels>();

  return (event: Pdu) => {
    const powerLevels = powerLevelsCitedBy(event, graph);
    const create = createEventOf(event, graph);
    const source = `${create?.event_id ?? ""} ${powerLevels?.event_id ?? ""}`;
    let levels = read.get(source);
    if (!levels) {
      levels = readPowerLevels(powerLevels, create ?? NO_CREATE, rules);
      read.set(source, levels);
    }
    return levels.powerOf(event.sender);
  };
}
