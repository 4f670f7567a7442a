import type { Body } from "../answers.ts";
import type { Signatures } from "../client-server/signing.ts";

type ById<T> = Readonly<Record<string, T>>;
type Keys = ById<{ readonly key: string }>;

/** An event as it goes between servers, in rooms of the version 11 or 12 unless something else is said. */
export type WirePdu = {
  readonly type: string;
  readonly room_id: string;
  readonly sender: string;
  readonly state_key?: string;
  readonly content: Readonly<Record<string, unknown>>;
  readonly depth: number;
  readonly auth_events: readonly unknown[];
  readonly prev_events: readonly unknown[];
  readonly origin_server_ts: number;
  /** In rooms of the versions 1 and 2. */
  readonly event_id?: string;
  readonly hashes?: object;
  readonly signatures?: Signatures;
};

/** A server's keys, as it publishes them or as others vouch for them. */
export type ServerKeys = {
  readonly server_name: string;
  readonly signatures: Signatures;
  readonly valid_until_ts: number;
  readonly verify_keys: Keys;
  readonly old_verify_keys: ById<{ readonly key: string; readonly expired_ts: number }>;
};

/** What came of a transaction. */
export type TransactionAnswer = { readonly pdus: ById<{ readonly error?: string }> };

type RoomSummary = { readonly name?: string; readonly room_id: string };

/** What a server answers to another, by its fields, as `Body` is of what clients are answered. */
export type ServerBody = Pick<
  Body,
  "device_keys" | "master_keys" | "one_time_keys" | "self_signing_keys"
> & {
  readonly [field: string]: unknown;
  readonly access_token: string;
  readonly auth_chain: readonly WirePdu[];
  readonly auth_chain_ids: readonly string[];
  readonly children: readonly RoomSummary[];
  readonly chunk: readonly RoomSummary[];
  readonly errcode?: string;
  readonly event: WirePdu;
  readonly event_id: string;
  readonly events: readonly WirePdu[];
  readonly knock_room_state: readonly WirePdu[];
  readonly members_omitted?: boolean;
  readonly next_batch?: string;
  readonly origin?: string;
  readonly pdu_ids: readonly string[];
  readonly pdus: readonly WirePdu[];
  readonly room: RoomSummary & { readonly children_state: readonly unknown[] };
  readonly room_version: string;
  readonly server_keys: readonly ServerKeys[];
  readonly servers: readonly string[];
  readonly state: readonly WirePdu[];
  readonly stream_id: number;
};
