import { pduOf } from "#src/events/parse-pdu.ts";
import type { Pdu, WireEvent } from "#src/events/pdu.ts";
import type { RoomVersionRules } from "#src/events/room-versions.ts";
import type { CanonicalObject } from "#src/kit/canonical-json.ts";
import type { EventId, UserId } from "#src/kit/identifiers.ts";
import { parseWireJson } from "#src/kit/wire-json.ts";

/** What the checks on receipt made of an event, as it stands in `events.status`. */
export const EventStatus = {
  /** Part of the room. */
  accepted: 0,
  /** Part of the graph, but neither shown to clients nor built upon. */
  softFailed: 1,
  /** Known, and no part of the room. */
  rejected: 2,
  /** Known for the sake of others that name it, and without a place in the room's order. */
  outlier: 3,
  /** Part of the room and built upon, but not shown to clients: a redaction that redacts nothing, as long as it does not. */
  untold: 4,
} as const;

/** A row of `events`, with the sender's ID. */
export type EventRow = {
  readonly event_key: number;
  readonly room_key: number;
  readonly event_id: EventId;
  readonly type: string;
  readonly state_key: string | null;
  readonly sender_key: number;
  readonly sender: UserId;
  readonly depth: number;
  readonly origin_server_ts: number;
  readonly status: number;
  readonly anchor: number | null;
  readonly anchor_offset: number;
  readonly state_before: number | null;
  readonly state_after: number | null;
  readonly room_state: number | null;
  readonly ordinal: number;
  readonly replaces: number | null;
  readonly redacted_by: number | null;
  readonly auth_keys: readonly number[] | null;
  readonly device_key: number | null;
  readonly txn_id: string | null;
  /** Left out of a row that is being made, unless it is not null. */
  readonly relayed?: boolean | null;
  /** As `relayed`: left out of a row that is being made, unless it is true. */
  readonly on_partial?: boolean | null;
  readonly json: string;
};

/** Its texts for clients without their closing brace, by whether they name the room; made anew once it is redacted. */
type Openings = {
  readonly redactedBy: number | undefined;
  withRoom: string | undefined;
  withoutRoom: string | undefined;
};

/** An event of ours or another's, as it is stored. Its JSON is parsed when it is first asked for. */
export class StoredEvent {
  readonly eventKey: number;
  readonly roomKey: number;
  readonly eventId: EventId;
  readonly type: string;
  /** Undefined if it is no state event. */
  readonly stateKey: string | undefined;
  readonly senderKey: number;
  readonly sender: UserId;
  readonly depth: number;
  readonly originServerTs: number;
  readonly status: number;
  /** Its place in the room's order; undefined for an outlier. */
  readonly anchor: number | undefined;
  readonly anchorOffset: number;
  /** Nodes of the state map; undefined for an outlier. */
  readonly stateBefore: number | undefined;
  readonly stateAfter: number | undefined;
  /** The room's current state once it was there. */
  readonly roomState: number | undefined;
  /** Whether the room had forks when it came: if not, the room's state before it was `stateBefore`. */
  readonly amongForks: boolean;
  readonly ordinal: number;
  readonly replaces: number | undefined;
  /** Changes when the event is redacted. */
  redactedBy: number | undefined;
  /** Whether a redaction of it was heard of after it was read: what came of that the database knows. */
  mayBeRedacted = false;
  /** Of a state event: the keys of its `auth_events`, as far as they are known. */
  readonly authKeys: readonly number[];
  readonly deviceKey: number | undefined;
  readonly txnId: string | undefined;
  /** Whether we tell other servers of it; if nothing is said, its sender decides. */
  readonly isRelayed: boolean | null | undefined;
  /** Whether its states lack members that are still to be fetched. */
  readonly isOnPartial: boolean;
  readonly json: string;
  /**
   * What `renderEvents` has made of it for all readers. It is kept here and not in a weak map beside it: what such a map holds
   * outlives every collection of the young generation, even if the event does not.
   */
  openings: Openings | undefined = undefined;
  #wire: WireEvent | undefined;
  #pdu: Pdu | undefined;

  /** @param pdu the event as the protocol's rules read it, if that is at hand. */
  constructor(row: EventRow, pdu?: Pdu) {
    this.#pdu = pdu;
    this.eventKey = row.event_key;
    this.roomKey = row.room_key;
    this.eventId = row.event_id;
    this.type = row.type;
    this.stateKey = row.state_key ?? undefined;
    this.senderKey = row.sender_key;
    this.sender = row.sender;
    this.depth = row.depth;
    this.originServerTs = row.origin_server_ts;
    this.status = row.status;
    this.anchor = row.anchor ?? undefined;
    this.anchorOffset = row.anchor_offset;
    this.stateBefore = row.state_before ?? undefined;
    this.stateAfter = row.state_after ?? undefined;
    this.roomState = row.room_state ?? row.state_after ?? undefined;
    this.amongForks = row.room_state !== null;
    this.ordinal = row.ordinal;
    this.replaces = row.replaces ?? undefined;
    this.redactedBy = row.redacted_by ?? undefined;
    this.authKeys = row.auth_keys ?? [];
    this.deviceKey = row.device_key ?? undefined;
    this.txnId = row.txn_id ?? undefined;
    this.isRelayed = row.relayed;
    this.isOnPartial = row.on_partial === true;
    this.json = row.json;
  }

  /** The event as it was signed. */
  get wire(): WireEvent {
    this.#wire ??= parseWireJson(this.json) as WireEvent;
    return this.#wire;
  }

  /** What it says, as it was signed: of a redacted event clients may not see this. */
  get content(): CanonicalObject {
    return this.#pdu?.content ?? (this.wire["content"] as CanonicalObject);
  }

  /** The event as the protocol's rules read it. */
  pdu(rules: RoomVersionRules): Pdu {
    this.#pdu ??= pduOf(this.eventId, this.wire, rules);
    return this.#pdu;
  }
}

/**
 * Whether the room's state around an event is not simply that before and after it: where forks met, or it came when what
 * follows it was there already.
 */
export function isOutOfLine({ amongForks, anchorOffset }: StoredEvent): boolean {
  return amongForks || anchorOffset !== 0;
}

/** Whether it may become another: once all of its room's members are known, or once what it redacts has come. */
export function isUnsettled({ isOnPartial, status }: StoredEvent): boolean {
  return isOnPartial || status === EventStatus.untold;
}
