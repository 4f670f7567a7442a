import { z } from "zod";

/**
 * A field of an answer by which something is found: rooms by their IDs, keys by their names.
 *
 * What is there for a name is read with `present`.
 */
type ById<T> = Readonly<Record<string, T>>;

/** What is said in an event, of whatever type. */
export type Content = {
  readonly [field: string]: unknown;
  readonly avatar_url?: string;
  readonly body: string;
  readonly "m.new_content"?: { readonly body: string };
  readonly displayname?: string;
  readonly events: ById<number>;
  readonly membership: string;
  readonly msgtype: string;
  readonly name: string;
  readonly public_keys?: readonly object[];
  readonly predecessor?: { readonly room_id: string; readonly event_id?: string };
  readonly topic: string;
  readonly user_ids?: readonly string[];
  readonly users: ById<number>;
};

/** An event as clients get it, whole or stripped. @spec client-server-api#room-event-format */
export type ClientEvent = {
  readonly type: string;
  readonly event_id: string;
  readonly room_id: string;
  readonly sender: string;
  readonly state_key: string;
  readonly origin_server_ts: number;
  readonly content: Content;
  readonly unsigned: Unsigned;
  readonly msc4354_sticky?: { readonly duration_ms: number };
};

type Unsigned = {
  readonly [field: string]: unknown;
  readonly age?: number;
  readonly transaction_id?: string;
  readonly prev_content?: Content;
  readonly redacted_because?: ClientEvent;
  readonly "m.relations"?: ById<Relation>;
};

/** What relates to an event, as it is told with it: the newest edit, references, a thread. */
type Relation = ClientEvent & {
  readonly chunk: readonly { readonly event_id: string }[];
  readonly count: number;
  readonly current_user_participated: boolean;
  readonly latest_event: ClientEvent;
};

type Events = { readonly events: readonly ClientEvent[] };
type Timeline = Events & { readonly limited: boolean; readonly prev_batch: string };
type Count = { readonly notification_count: number; readonly highlight_count: number };

/** What a sync tells of a room that its user is in. */
export type JoinedRoom = {
  readonly account_data: Events;
  readonly ephemeral: Events;
  readonly state: Events;
  readonly state_after?: Events;
  readonly "org.matrix.msc4222.state_after"?: Events;
  readonly timeline: Timeline;
  readonly summary: ById<unknown>;
  readonly msc4354_sticky?: Events;
  readonly unread_notifications: Count;
  readonly unread_thread_notifications?: ById<Count>;
  readonly [unstable: string]: unknown;
};

/** @spec client-server-api#get_matrixclientv3sync */
export type SyncAnswer = {
  readonly next_batch: string;
  readonly account_data?: Events;
  readonly presence?: Events;
  readonly to_device?: Events;
  readonly device_lists?: {
    readonly changed?: readonly string[];
    readonly left?: readonly string[];
  };
  readonly device_one_time_keys_count: ById<number>;
  readonly device_unused_fallback_key_types: readonly string[];
  readonly rooms?: {
    readonly join?: ById<JoinedRoom>;
    readonly leave?: ById<JoinedRoom>;
    readonly invite?: ById<{ readonly invite_state: Events; readonly state: Events }>;
    readonly knock?: ById<{ readonly knock_state: Events; readonly state: Events }>;
  };
};

/** What sliding sync answers (MSC4186). */
export type SlidingAnswer = {
  readonly pos: string;
  readonly extensions: ById<{ readonly [field: string]: unknown; readonly prev_batch: string }>;
  readonly lists: ById<unknown>;
  readonly rooms: ById<SlidingRoom>;
};

export type SlidingRoom = {
  readonly expanded_timeline?: boolean;
  readonly initial?: boolean;
  readonly invite_state?: readonly ClientEvent[];
  readonly limited?: boolean;
  readonly membership: string;
  readonly prev_batch: string;
  readonly required_state?: readonly ClientEvent[];
  readonly stripped_state?: readonly ClientEvent[];
  readonly timeline?: readonly ClientEvent[];
  readonly unstable_expanded_timeline?: boolean;
};

/** A part of a list, and where it goes on. */
type Page = {
  readonly chunk: readonly ClientEvent[];
  readonly start: string;
  readonly end: string;
};

type SignedKeys = {
  readonly keys: ById<string>;
  readonly signatures: ById<ById<string>>;
  readonly unsigned?: ById<unknown>;
};

/** A page of what a search has found. @spec client-server-api#post_matrixclientv3search */
export type FoundEvents = {
  readonly count: number;
  readonly groups: { readonly sender: ById<{ readonly next_batch: string }> };
  readonly highlights: readonly string[];
  readonly next_batch?: string;
  readonly results: readonly {
    readonly rank: number;
    readonly result: ClientEvent;
    readonly context: {
      readonly end: string;
      readonly events_after: readonly ClientEvent[];
      readonly events_before: readonly ClientEvent[];
      readonly profile_info: ById<unknown>;
    };
  }[];
  readonly state: ById<readonly ClientEvent[]>;
};

type PushRule = { readonly rule_id: string; readonly enabled: boolean };
type Notification = {
  readonly event: ClientEvent;
  readonly room_id: string;
  readonly read: boolean;
};

/**
 * What an answer says, by its fields, which mean the same in most. That they have these types is seen by the
 * specification's schemas (`specification/check-answer.ts`), whether one is there at all by the test that reads it.
 * An answer that is otherwise is asked for by a type of its own: `call<readonly ClientEvent[]>(…)`.
 */
export type Body = Content &
  ClientEvent &
  Page &
  SyncAnswer & {
    readonly errcode?: string;
    readonly error: string;
    readonly access_token: string;
    readonly actions: readonly unknown[];
    readonly aliases: readonly string[];
    readonly capabilities: ById<ById<unknown>>;
    readonly content_uri: string;
    readonly count: number;
    readonly delay_id: string;
    readonly device_id: string;
    readonly device_keys: ById<ById<SignedKeys>>;
    readonly devices: readonly { readonly device_id: string; readonly display_name?: string }[];
    readonly display_name?: string;
    readonly event: ClientEvent;
    readonly events_after: readonly ClientEvent[];
    readonly events_before: readonly ClientEvent[];
    readonly expires_in_ms: number;
    readonly failures: ById<ById<{ readonly errcode: string }>>;
    readonly filter_id: string;
    readonly finalised_ts: number;
    readonly global: ById<readonly PushRule[]>;
    readonly joined: ById<{ readonly display_name?: string; readonly avatar_url?: string }>;
    readonly joined_rooms: readonly string[];
    readonly master_keys: ById<SignedKeys>;
    readonly messages: Page;
    readonly next_token: string;
    readonly notifications: readonly Notification[];
    readonly one_time_keys: ById<ById<ById<unknown>>>;
    readonly pushers: readonly ById<unknown>[];
    readonly refresh_token: string;
    readonly replacement_room: string;
    readonly results: readonly { readonly user_id: string; readonly display_name?: string }[];
    readonly search_categories: { readonly room_events: FoundEvents };
    readonly self_signing_keys: ById<SignedKeys>;
    readonly session: string;
    readonly state: readonly ClientEvent[];
    readonly token: string;
    readonly unstable_features: ById<boolean>;
    readonly user_id: string;
    readonly user_signing_keys?: ById<SignedKeys>;
    readonly version: string;
  };

/**
 * What must be there for the test to go on.
 *
 * @throws Error if it is not
 */
export function present<T>(it: T): NonNullable<T> {
  if (it === undefined || it === null) throw new Error("What the test goes on with is not there.");
  return it;
}

/**
 * What a sync tells of a room that its user is in.
 *
 * @throws Error if it tells nothing of it
 */
export function joinedRoom(answer: SyncAnswer, roomId: string): JoinedRoom {
  return present(answer.rooms?.join?.[roomId]);
}

/**
 * What a sync tells of a room that its user is invited to.
 *
 * @throws Error if it tells of no invitation
 */
export function invitedRoom(answer: SyncAnswer, roomId: string): readonly ClientEvent[] {
  return present(answer.rooms?.invite?.[roomId]).invite_state.events;
}

/** Whose receipts there are, by the events and their kinds. @spec client-server-api#receipts */
const Receipts = z.record(
  z.string(),
  z.record(z.string(), z.record(z.string(), z.looseObject({ ts: z.number() }))),
);

/** The receipts that a sync tells of in a room; none if it tells nothing of it. */
export function receiptsIn(room: JoinedRoom | undefined): z.infer<typeof Receipts> {
  const told = room?.ephemeral?.events.find((it) => it.type === "m.receipt");
  return told === undefined ? {} : Receipts.parse(told.content);
}
