import type { Readable } from "node:stream";
import type { CanonicalObject } from "#src/kit/canonical-json.ts";
import type { EventId, RoomAlias, RoomId, ServerName, UserId } from "#src/kit/identifiers.ts";
import type { VerifyKey } from "#src/kit/signed-json.ts";
import type { AskOptions } from "./ask-options.ts";
import type { UnixMs } from "./position.ts";

/**
 * What another server answered, or why it did not. Both are ordinary.
 *
 * `unreachable`: no answer came, or none that ends. `malformed`: it is not what was asked for.
 * `refused`: it said no, and `body` is how, as far as it is a JSON object.
 */
export type RemoteAnswer<T> =
  | { readonly ok: true; readonly body: T }
  | { readonly ok: false; readonly why: "unreachable" | "malformed"; readonly cause: unknown }
  | {
      readonly ok: false;
      readonly why: "refused";
      readonly status: number;
      readonly errcode: string;
      readonly body: CanonicalObject;
      /** When it asks us to come again, in milliseconds from now. */
      readonly retryAfterMs?: number;
    };

/** Asks one server one thing, once. Whether to try again is for the caller to know. */
export type Ask<Question, Body> = (
  server: ServerName,
  question: Question,
  options?: AskOptions,
) => Promise<RemoteAnswer<Body>>;

/** An event as another server sends it: nothing in it has been looked at. */
export type RawPdu = CanonicalObject;

/** At most 50 PDUs and 100 EDUs. */
export type Transaction = {
  readonly txnId: string;
  readonly origin_server_ts: number;
  /** The events' texts, as they are stored: Canonical JSON. */
  readonly pdus: readonly string[];
  /** The EDUs' texts, in Canonical JSON too. */
  readonly edus: readonly string[];
};

/** An event that another server proposes, for us to sign. */
export type EventTemplate = { readonly room_version?: string; readonly event: CanonicalObject };

type Membership = { readonly roomId: RoomId; readonly userId: UserId };

type SignedMembership = {
  readonly roomId: RoomId;
  readonly eventId: EventId;
  readonly event: CanonicalObject;
};

export type SendJoinAnswer = {
  readonly auth_chain: readonly RawPdu[];
  readonly state: readonly RawPdu[];
  readonly event?: RawPdu;
  readonly members_omitted?: boolean;
  readonly servers_in_room?: readonly string[];
};

export type PublicRoomsQuestion = {
  readonly limit?: number;
  readonly since?: string;
  readonly filter?: CanonicalObject;
  readonly include_all_networks?: boolean;
  readonly third_party_instance_id?: string;
};

export type PublicRoomsAnswer = {
  readonly chunk: readonly CanonicalObject[];
  readonly next_batch?: string;
  readonly prev_batch?: string;
  readonly total_room_count_estimate?: number;
};

export type HierarchyAnswer = {
  readonly room: CanonicalObject;
  readonly children: readonly CanonicalObject[];
  readonly inaccessible_children: readonly string[];
};

export type UserDevicesAnswer = {
  readonly user_id: string;
  readonly stream_id: number;
  readonly devices: readonly {
    readonly device_id: string;
    readonly keys: CanonicalObject;
    readonly device_display_name?: string;
  }[];
  readonly master_key?: CanonicalObject;
  readonly self_signing_key?: CanonicalObject;
};

export type UserKeysAnswer = {
  readonly device_keys: ReadonlyMap<string, ReadonlyMap<string, CanonicalObject>>;
  readonly master_keys: ReadonlyMap<string, CanonicalObject>;
  readonly self_signing_keys: ReadonlyMap<string, CanonicalObject>;
};

export type ServerKeysAnswer = { readonly server_keys: readonly CanonicalObject[] };

type MediaQuestion = { readonly mediaId: string; readonly timeoutMs?: number };

type ThumbnailQuestion = MediaQuestion & {
  readonly width: number;
  readonly height: number;
  readonly method: "crop" | "scale";
  readonly animated?: boolean;
};

/** Media as it comes: whoever has it reads it to its end or destroys it. */
export type RemoteMedia = {
  /** As the other server has it. */
  readonly contentType?: string;
  readonly contentDisposition?: string;
  readonly body: Readable;
};

/** Keys of one server that are wanted, valid at that time; whatever their time if that is 0. */
export type KeyQuestion = {
  readonly server: ServerName;
  readonly keyIds: readonly string[];
  readonly validAt: UnixMs;
};

/** Keys of one server by their IDs, each with when it is or was valid until. */
export type KnownKeys = ReadonlyMap<string, VerifyKey & { readonly validUntilTs: UnixMs }>;

/** Gives the keys by which the signatures of servers are verified. Of one server there is one question. */
export type KeyLookup = (
  questions: readonly KeyQuestion[],
) => Promise<ReadonlyMap<ServerName, KnownKeys>>;

/**
 * What we can ask of other homeservers: the server-server API, by its operation IDs.
 *
 * This is the one port in the house. Rooms, devices and media need other servers; `federation/`
 * needs rooms, devices and media. So the type lives here, `federation/client/` implements it, and
 * `open-homeserver.ts` puts the two together, with `federation/keys/`. Every question is signed, is asked once, and has an
 * answer that has been read by a schema; events in it have not.
 *
 * @spec server-server-api
 */
export type Remotes = {
  // Events
  readonly sendTransaction: Ask<
    Transaction,
    { readonly pdus: ReadonlyMap<string, { readonly error?: string }> }
  >;
  readonly getEvent: Ask<
    { readonly eventId: EventId },
    { readonly origin_server_ts: number; readonly pdus: readonly RawPdu[] }
  >;
  readonly getEventAuth: Ask<
    { readonly roomId: RoomId; readonly eventId: EventId },
    { readonly auth_chain: readonly RawPdu[] }
  >;
  readonly getRoomState: Ask<
    { readonly roomId: RoomId; readonly eventId: EventId },
    { readonly auth_chain: readonly RawPdu[]; readonly pdus: readonly RawPdu[] }
  >;
  readonly getRoomStateIds: Ask<
    { readonly roomId: RoomId; readonly eventId: EventId },
    { readonly auth_chain_ids: readonly EventId[]; readonly pdu_ids: readonly EventId[] }
  >;
  readonly backfillRoom: Ask<
    { readonly roomId: RoomId; readonly from: readonly EventId[]; readonly limit: number },
    { readonly pdus: readonly RawPdu[] }
  >;
  readonly getMissingPreviousEvents: Ask<
    {
      readonly roomId: RoomId;
      readonly earliest_events: readonly EventId[];
      readonly latest_events: readonly EventId[];
      readonly limit: number;
      readonly min_depth?: number;
    },
    { readonly events: readonly RawPdu[] }
  >;
  readonly getEventByTimestamp: Ask<
    { readonly roomId: RoomId; readonly ts: number; readonly dir: "f" | "b" },
    { readonly event_id: EventId; readonly origin_server_ts: number }
  >;
  /** @param isOld whether it is asked under the path from before it was specified (MSC4284). */
  readonly askPolicyServerToSign: Ask<
    { readonly event: CanonicalObject; readonly isOld?: boolean },
    ReadonlyMap<string, ReadonlyMap<string, string>>
  >;

  // Memberships
  readonly makeJoin: Ask<Membership & { readonly versions: readonly string[] }, EventTemplate>;
  /** Of servers that do not know the second version of the API, as the other questions named V1. */
  readonly sendJoinV1: Ask<SignedMembership, SendJoinAnswer>;
  readonly sendJoinV2: Ask<SignedMembership & { readonly omitMembers?: boolean }, SendJoinAnswer>;
  readonly makeKnock: Ask<Membership & { readonly versions: readonly string[] }, EventTemplate>;
  readonly sendKnock: Ask<SignedMembership, { readonly knock_room_state: readonly RawPdu[] }>;
  readonly makeLeave: Ask<Membership, EventTemplate>;
  readonly sendLeaveV1: Ask<SignedMembership, object>;
  readonly sendLeaveV2: Ask<SignedMembership, object>;
  /** For rooms of versions 1 and 2 on servers that know no other. */
  readonly sendInviteV1: Ask<SignedMembership, { readonly event: RawPdu }>;
  readonly sendInviteV2: Ask<
    SignedMembership & {
      readonly room_version: string;
      readonly invite_room_state: readonly CanonicalObject[];
    },
    { readonly event: RawPdu }
  >;
  readonly exchangeThirdPartyInvite: Ask<
    { readonly roomId: RoomId; readonly event: CanonicalObject },
    object
  >;

  // Directories
  readonly queryRoomDirectory: Ask<
    { readonly room_alias: RoomAlias },
    { readonly room_id: RoomId; readonly servers: readonly ServerName[] }
  >;
  readonly queryProfile: Ask<
    { readonly user_id: UserId; readonly field?: string },
    CanonicalObject
  >;
  readonly queryInfo: Ask<
    { readonly queryType: string; readonly parameters: Readonly<Record<string, string>> },
    CanonicalObject
  >;
  readonly getPublicRooms: Ask<Omit<PublicRoomsQuestion, "filter">, PublicRoomsAnswer>;
  readonly queryPublicRooms: Ask<PublicRoomsQuestion, PublicRoomsAnswer>;
  readonly getSpaceHierarchy: Ask<
    { readonly roomId: RoomId; readonly suggestedOnly?: boolean },
    HierarchyAnswer
  >;

  // Users and their devices
  readonly getUserDevices: Ask<{ readonly userId: UserId }, UserDevicesAnswer>;
  /** @param device_keys for each user which devices, or none for all. */
  readonly queryUserEncryptionKeys: Ask<
    { readonly device_keys: Readonly<Record<UserId, readonly string[]>> },
    UserKeysAnswer
  >;
  /** @param one_time_keys for each user's devices the algorithm. */
  readonly claimUserEncryptionKeys: Ask<
    { readonly one_time_keys: Readonly<Record<UserId, Readonly<Record<string, string>>>> },
    {
      readonly one_time_keys: ReadonlyMap<
        string,
        ReadonlyMap<string, ReadonlyMap<string, CanonicalObject | string>>
      >;
    }
  >;
  readonly exchangeOpenIdToken: Ask<{ readonly access_token: string }, { readonly sub: UserId }>;

  // Media
  readonly getContent: Ask<MediaQuestion, RemoteMedia>;
  readonly getContentThumbnail: Ask<ThumbnailQuestion, RemoteMedia>;

  // Servers and their keys
  /** What is known of servers' keys, or can be learnt of them or of those that vouch for them. Never fails. */
  readonly verifyKeys: KeyLookup;
  readonly getVersion: Ask<object, { readonly name?: string; readonly version?: string }>;
  readonly getServerKey: Ask<object, CanonicalObject>;
  readonly perspectivesKeyQuery: Ask<
    { readonly serverName: ServerName; readonly minimum_valid_until_ts?: number },
    ServerKeysAnswer
  >;
  /** @param server_keys for each server its keys, by their IDs, or none for all. */
  readonly bulkPerspectivesKeyQuery: Ask<
    {
      readonly server_keys: Readonly<
        Record<string, Readonly<Record<string, { readonly minimum_valid_until_ts?: number }>>>
      >;
    },
    ServerKeysAnswer
  >;
};
