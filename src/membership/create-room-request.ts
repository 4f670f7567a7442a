import { z } from "zod";
import { Invite3pid } from "#src/identity-servers/third-party-address.ts";
import { JsonObject } from "#src/kit/json-object.ts";

const Presets = z.enum(["private_chat", "public_chat", "trusted_private_chat"]);
export type Preset = z.infer<typeof Presets>;

/** The most users that may be invited when a room is created. */
const MOST_INVITES = 500;

/** The most who may be invited by their addresses: of each, an identity server is asked. */
const MOST_ADDRESSES = 20;

/** The most state events that a creator may give a room to begin with. */
const MOST_STATE = 200;

/** The body of `POST /createRoom`. @spec client-server-api#post_matrixclientv3createroom */
export const CreateRoomRequest = z.object({
  visibility: z.enum(["public", "private"]).optional(),
  room_alias_name: z.string().optional(),
  name: z.string().optional(),
  topic: z.string().optional(),
  invite: z.array(z.string()).max(MOST_INVITES).optional(),
  invite_3pid: z.array(Invite3pid).max(MOST_ADDRESSES).optional(),
  room_version: z.string().optional(),
  creation_content: JsonObject.optional(),
  initial_state: z
    .array(z.object({ type: z.string(), state_key: z.string().optional(), content: JsonObject }))
    .max(MOST_STATE)
    .optional(),
  preset: Presets.optional(),
  is_direct: z.boolean().optional(),
  power_level_content_override: JsonObject.optional(),
});

export type CreateRoomRequest = z.infer<typeof CreateRoomRequest>;

/** Those who are invited by the state that a room is given. */
export function invitedByState({ initial_state = [] }: CreateRoomRequest): string[] {
  return initial_state.flatMap(({ type, state_key = "", content }) =>
    type === "m.room.member" && content["membership"] === "invite" ? [state_key] : [],
  );
}
