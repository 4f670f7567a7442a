import type { EventDraft } from "#src/events/build-event.ts";
import type { Homeserver } from "#src/homeserver/homeserver.ts";
import type { CanonicalObject } from "#src/kit/canonical-json.ts";
import { serverNameOf, type UserId } from "#src/kit/identifiers.ts";
import type { Membership } from "#src/rooms/memberships.ts";
import { profileOf } from "#src/users/profile.ts";

/** A member event about a user; with the name and picture of those who have a profile here. */
export async function memberDraft(
  hs: Homeserver,
  userId: UserId,
  membership: Membership,
  further: CanonicalObject = {},
): Promise<EventDraft> {
  const content: CanonicalObject = { ...further, membership };
  const shown = membership === "join" || membership === "invite" || membership === "knock";
  if (!shown || serverNameOf(userId) !== hs.name) {
    return { type: "m.room.member", state_key: userId, content };
  }
  const { displayname, avatar_url } = await profileOf(hs, userId);
  return {
    type: "m.room.member",
    state_key: userId,
    content: {
      ...(displayname !== undefined && { displayname }),
      ...(avatar_url !== undefined && { avatar_url }),
      ...content,
    },
  };
}

/**
 * A member event's content without who let the user in. That is for servers to say: what a client
 * says of it, as by sending back an earlier event's content, would need that user's server to sign.
 *
 * @spec rooms/v12#authorisation-rules 5.2
 */
export function withoutAuthoriser(content: CanonicalObject): CanonicalObject {
  const { join_authorised_via_users_server: _, ...rest } = content;
  return rest;
}
