import { z } from "zod";
import { isUserId } from "#src/events/event-identifiers.ts";
import type { Homeserver } from "#src/homeserver/homeserver.ts";
import { decodeBase64 } from "#src/kit/base64.ts";
import { ed25519PublicKey } from "#src/kit/ed25519.ts";
import type { RoomId, UserId } from "#src/kit/identifiers.ts";
import { MatrixError } from "#src/kit/matrix-error.ts";
import { askIdentityServer, refusalOf } from "./identity-server.ts";
import type { ThirdPartyAddress } from "./third-party-address.ts";

/** What an invitation says of itself to whoever gets it. What there is none of is left out. */
export type InviteDetails = {
  readonly room_id: RoomId;
  readonly sender: UserId;
  readonly room_alias?: string;
  readonly room_avatar_url?: string;
  readonly room_join_rules?: string;
  readonly room_name?: string;
  readonly room_type?: string;
  readonly sender_display_name?: string;
  readonly sender_avatar_url?: string;
};

const PublicKey = z.object({
  public_key: z.string().refine((text) => ed25519PublicKey(decodeBase64(text) ?? Buffer.of())),
  key_validity_url: z.url({ protocol: /^https?$/ }).max(2048),
});

const StoredInvite = z.object({
  token: z.string().regex(/^[0-9a-zA-Z.=_-]{1,255}$/),
  public_keys: z.array(PublicKey).min(1).max(10),
  display_name: z.string().max(1024),
});

/** An invitation that an identity server keeps until somebody binds the address. */
export type StoredInvite = z.infer<typeof StoredInvite>;

/**
 * Has an identity server keep an invitation, and tell whoever has the address of it.
 *
 * @returns the user, if somebody has bound the address just now.
 * @throws MatrixError M_THREEPID_MEDIUM_NOT_SUPPORTED; what the identity server says of who asks, or 502 if it does
 *   not answer as it should.
 * @spec identity-service-api#post_matrixidentityv2store-invite
 */
export async function storeInvite(
  hs: Homeserver,
  { server, medium, address }: ThirdPartyAddress,
  details: InviteDetails,
): Promise<{ readonly stored: StoredInvite } | { readonly boundTo: UserId }> {
  const answer = await askIdentityServer(hs, {
    purpose: "storeInviteV2",
    url: `https://${server.name}/_matrix/identity/v2/store-invite`,
    accessToken: server.accessToken,
    content: { medium, address, ...details },
    expected: StoredInvite,
  });
  if (answer.ok) return { stored: answer.body };
  const { errcode, body } = answer;
  if (errcode === "M_THREEPID_IN_USE" && isUserId(body["mxid"])) return { boundTo: body["mxid"] };
  if (errcode === "M_UNRECOGNIZED" && answer.status === 400) {
    throw new MatrixError(
      "M_THREEPID_MEDIUM_NOT_SUPPORTED",
      "The identity server invites nobody by an address of this kind",
    );
  }
  throw refusalOf(answer);
}
