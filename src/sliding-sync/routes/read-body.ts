import { z } from "zod";
import { parseRoomId, type RoomId } from "#src/kit/identifiers.ts";
import { ExtensionRequests } from "../extension-requests.ts";
import type { RequiredPart, StateElement } from "../required-state.ts";
import type { ListFilters, RoomConfig, RoomList, SlidingRequest } from "../sliding-request.ts";

/** As many as MSC4186 allows. */
const MOST_LISTS = 100;
const MOST_SUBSCRIPTIONS = 100;

/** More events than this of a room no answer has. */
const MOST_EVENTS = 100;

const MOST_ELEMENTS = 500;

/** Null is as good as nothing. */
const optional = <T>(schema: z.ZodType<T>) => schema.nullish().transform((it) => it ?? undefined);

/** The database has no NUL in a text. */
const text = z.string().refine((it) => !it.includes("\0"), "must not have a NUL");

const index = z.int().min(0);
const window = z
  .tuple([index, index])
  .refine(([from, to]) => from <= to, "must not end before it begins");
const flag = optional(z.boolean());
const strings = optional(z.array(z.string()).max(1_000));
const roomTypes = optional(z.array(z.string().nullable()).max(1_000));
const timeline_limit = z.int().min(0);

const tuples = z.array(z.tuple([text, text])).max(MOST_ELEMENTS);
const element = z.object({ type: optional(text), state_key: optional(text) });
const elements = optional(z.array(element).max(MOST_ELEMENTS));
const structured = z.object({ include: elements, exclude: elements, lazy_members: flag });

const filters = z.object({
  is_dm: flag,
  spaces: strings,
  is_encrypted: flag,
  is_invite: flag,
  is_invited: flag,
  room_types: roomTypes,
  not_room_types: roomTypes,
  tags: strings,
  not_tags: strings,
});

/** At most so many keys, of which each is read by the schema. */
const few = <T extends z.ZodType>(most: number, schema: T) =>
  optional(
    z
      .record(z.string(), schema)
      .refine((it) => Object.keys(it).length <= most, `must not have more than ${most}`),
  );

const common = {
  conn_id: optional(text.max(255)),
  extensions: optional(ExtensionRequests),
};

/** The body as clients of today send it. */
export const DeployedBody = z.object({
  ...common,
  // It belongs into the query, and is found here too.
  pos: optional(z.string()),
  txn_id: optional(z.string().max(255)),
  lists: few(
    MOST_LISTS,
    z.object({
      ranges: optional(z.array(window).max(100)),
      timeline_limit,
      required_state: tuples,
      filters: optional(filters),
    }),
  ),
  room_subscriptions: few(MOST_SUBSCRIPTIONS, z.object({ timeline_limit, required_state: tuples })),
});

/** The body by the text that was accepted. */
export const AcceptedBody = z.object({
  ...common,
  pos: optional(z.string()),
  timeout: optional(z.int().min(0)),
  set_presence: optional(z.string()),
  lists: few(
    MOST_LISTS,
    z.object({
      range: optional(window),
      timeline_limit,
      required_state: structured,
      filters: optional(filters),
    }),
  ),
  room_subscriptions: few(
    MOST_SUBSCRIPTIONS,
    z.object({ timeline_limit, required_state: structured }),
  ),
});

export type Asked = Omit<SlidingRequest, "requester">;

/** What a body of the deployed form asks for. */
export function readDeployed(body: z.output<typeof DeployedBody>, userId: string): Asked {
  const configOf = (it: { timeline_limit: number; required_state: z.output<typeof tuples> }) => ({
    timelineLimit: Math.min(it.timeline_limit, MOST_EVENTS),
    requiredState: [partOfTuples(it.required_state, userId)],
  });
  return {
    lists: lists(body.lists, (it) => ({
      ...configOf(it),
      windows: it.ranges && it.ranges.length > 0 ? it.ranges : undefined,
      filters: filtersOf(it.filters),
    })),
    subscriptions: subscriptions(body.room_subscriptions, configOf),
    extensions: body.extensions ?? {},
    isDeployed: true,
  };
}

/** What a body of the accepted form asks for. */
export function readAccepted(body: z.output<typeof AcceptedBody>): Asked {
  const configOf = (it: {
    timeline_limit: number;
    required_state: z.output<typeof structured>;
  }) => ({
    timelineLimit: Math.min(it.timeline_limit, MOST_EVENTS),
    requiredState: [
      {
        include: (it.required_state.include ?? []).map(elementOf),
        exclude: (it.required_state.exclude ?? []).map(elementOf),
        lazyMembers: it.required_state.lazy_members ?? false,
      },
    ],
  });
  return {
    lists: lists(body.lists, (it) => ({
      ...configOf(it),
      windows: it.range && [it.range],
      filters: filtersOf(it.filters),
    })),
    subscriptions: subscriptions(body.room_subscriptions, configOf),
    extensions: body.extensions ?? {},
    isDeployed: false,
  };
}

/** `*` stands for all, `$ME` for the user's ID, and `$LAZY` for the members that a timeline needs. */
function partOfTuples(pairs: z.output<typeof tuples>, userId: string): RequiredPart {
  const isLazy = ([type, key]: readonly [string, string]) =>
    type === "m.room.member" && key === "$LAZY";
  return {
    include: pairs
      .filter((it) => !isLazy(it))
      .map(([type, key]) => ({
        ...(type !== "*" && { type }),
        ...(key !== "*" && { stateKey: key === "$ME" ? userId : key }),
      })),
    exclude: [],
    lazyMembers: pairs.some(isLazy),
  };
}

function elementOf({ type, state_key }: z.output<typeof element>): StateElement {
  return {
    ...(type !== undefined && { type }),
    ...(state_key !== undefined && { stateKey: state_key }),
  };
}

function filtersOf(it: z.output<typeof filters> | undefined): ListFilters {
  if (!it) return {};
  return {
    isDm: it.is_dm,
    spaces: it.spaces,
    isEncrypted: it.is_encrypted,
    isInvited: it.is_invited ?? it.is_invite,
    roomTypes: it.room_types,
    notRoomTypes: it.not_room_types,
    tags: it.tags,
    notTags: it.not_tags,
  };
}

function lists<T>(
  bodies: Readonly<Record<string, T>> | undefined,
  listOf: (body: T) => RoomList,
): ReadonlyMap<string, RoomList> {
  return new Map(Object.entries(bodies ?? {}).map(([key, it]) => [key, listOf(it)]));
}

/** @throws MatrixError M_INVALID_PARAM for what is no room ID. */
function subscriptions<T>(
  bodies: Readonly<Record<string, T>> | undefined,
  configOf: (body: T) => RoomConfig,
): ReadonlyMap<RoomId, RoomConfig> {
  return new Map(
    Object.entries(bodies ?? {}).map(([roomId, it]) => [parseRoomId(roomId), configOf(it)]),
  );
}
