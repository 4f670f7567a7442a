import { z } from "zod";

const text = z.string().optional().catch(undefined);

/** What every client needs of a room that another server tells of; of the rest, what is of the wrong type is left out. */
export const TOLD_SUMMARY = {
  room_id: z.string(),
  world_readable: z.boolean(),
  guest_can_join: z.boolean(),
  join_rule: text,
  name: text,
  topic: text,
  avatar_url: text,
  canonical_alias: text,
  room_type: text,
} as const;

/** An object without what is undefined in it. */
export function withoutUndefined<T extends object>(
  object: T,
): { [K in keyof T]: Exclude<T[K], undefined> } {
  return Object.fromEntries(Object.entries(object).filter(([, it]) => it !== undefined)) as {
    [K in keyof T]: Exclude<T[K], undefined>;
  };
}
