import { z } from "zod";
import type { CanonicalObject } from "#src/kit/canonical-json.ts";
import { isRoomId, type RoomId, type ServerName } from "#src/kit/identifiers.ts";
import { JsonObject } from "#src/kit/json-object.ts";

/** What a space says of a room that is in it: a stripped `m.space.child`, with its time. Names are the wire's. */
export type SpaceChild = {
  readonly type: "m.space.child";
  readonly state_key: RoomId;
  readonly content: CanonicalObject;
  readonly sender: string;
  readonly origin_server_ts: number;
};

/** What names a room type that has children. */
export const SPACE = "m.space";

const Via = z.array(z.string()).min(1);

/** The servers by which a child is found; none if it is no child any more. */
export function viaOf({ content }: Pick<SpaceChild, "content">): readonly ServerName[] {
  return (Via.safeParse(content["via"]).data ?? []) as ServerName[];
}

const AChild = z.object({
  type: z.literal("m.space.child"),
  state_key: z.custom<RoomId>(isRoomId),
  content: JsonObject,
  sender: z.string(),
  origin_server_ts: z.int(),
});

/** Reads what another server says of a space's children; what is none is left out. */
export function readChildren(value: unknown): SpaceChild[] {
  if (!Array.isArray(value)) return [];
  return value
    .flatMap((it) => AChild.safeParse(it).data ?? [])
    .filter((it) => viaOf(it).length > 0);
}

/**
 * The children in the order in which clients show them.
 *
 * @spec client-server-api#ordering-of-children-within-a-space
 */
export function inOrder(children: readonly SpaceChild[]): SpaceChild[] {
  return children.toSorted((a, b) => {
    const [one, other] = [orderOf(a), orderOf(b)];
    if (one !== other) {
      if (one === undefined) return 1;
      if (other === undefined) return -1;
      return one < other ? -1 : 1;
    }
    if (a.origin_server_ts !== b.origin_server_ts) return a.origin_server_ts - b.origin_server_ts;
    return a.state_key < b.state_key ? -1 : 1;
  });
}

/** Printable ASCII, and not long: else it counts as left out. */
function orderOf({ content }: SpaceChild): string | undefined {
  const { order } = content;
  return typeof order === "string" && /^[\x20-\x7e]{0,50}$/.test(order) ? order : undefined;
}
