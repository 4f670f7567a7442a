import type { Homeserver } from "#src/homeserver/homeserver.ts";
import { rememberNewRoom } from "./build-chains.ts";
import { heedRedaction, rememberStored } from "./find-event.ts";
import { redactSendersSoon } from "./mass-redaction/redact-senders.ts";
import { asksToRedact } from "./mass-redaction/removal.ts";
import type { PlacedChain } from "./place-events.ts";
import { rememberHead } from "./room-head.ts";
import { rememberNodes } from "./state-map/stored-nodes.ts";
import { pairKey } from "./state-slots.ts";
import type { StoredEvent } from "./stored-event.ts";

type Committed = {
  readonly stored: ReadonlyMap<number, StoredEvent>;
  /** The event keys of the redactions that took effect. */
  readonly applied: ReadonlySet<number>;
};

/** Brings the memory of this process to what has been committed of what is sent here. */
export function rememberChains(
  hs: Homeserver,
  chains: readonly PlacedChain[],
  committed: Committed,
): void {
  for (const event of committed.stored.values()) rememberStored(hs, event);
  for (const it of chains) rememberChain(hs, it, committed);
}

function rememberChain(hs: Homeserver, placed: PlacedChain, committed: Committed): void {
  const { chain, rows, newNodes, stateRoot, ordinal } = placed;
  rememberNodes(hs, newNodes);
  if (!chain.head) rememberNewRoom(hs, chain.room);
  const state = chain.head?.state ?? new Map<string, StoredEvent | null>();
  rememberLinks(hs, placed, committed, state);
  const last = committed.stored.get(rows.at(-1)?.event_key ?? 0);
  if (!last) return;
  const version = (chain.head?.version ?? 0) + 1;
  const { room } = chain;
  const { depth } = last;
  const isPartial = chain.head?.isPartial ?? false;
  const extremities = [last];
  rememberHead(hs, { room, version, extremities, depth, stateRoot, ordinal, isPartial, state });
}

/** Brings a head's state in memory, and the events that were redacted, to what a chain has changed. */
function rememberLinks(
  hs: Homeserver,
  { chain }: PlacedChain,
  { stored, applied }: Committed,
  state: Map<string, StoredEvent | null>,
): void {
  for (const { eventKey, event } of chain.links) {
    const own = stored.get(eventKey);
    if (own?.stateKey !== undefined) state.set(pairKey(own.type, own.stateKey), own);
    if (asksToRedact(event.event)) redactSendersSoon(hs);
    const { redacts } = event.event;
    if (redacts === undefined || !applied.has(eventKey)) continue;
    heedRedaction(hs, redacts, eventKey);
    // The head may know it by another object than the memory of events.
    for (const it of state.values()) if (it?.eventId === redacts) it.redactedBy = eventKey;
  }
}
