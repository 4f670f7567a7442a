import { z } from "zod";
import type { Homeserver } from "#src/homeserver/homeserver.ts";
import type { Remotes } from "#src/homeserver/remotes.ts";
import { JsonObject } from "#src/kit/json-object.ts";
import { RawPdus, wireObject } from "./answer-schemas.ts";
import { MOST_STATE_BYTES } from "./ask-events.ts";
import { asking } from "./ask-server.ts";
import { path, withQuery } from "./uri.ts";

const EventTemplate = wireObject({
  room_version: z.string().max(255).exactOptional(),
  event: JsonObject,
});

const SendJoinAnswer = wireObject({
  auth_chain: RawPdus,
  state: RawPdus,
  event: JsonObject.exactOptional(),
  members_omitted: z.boolean().exactOptional(),
  servers_in_room: z.array(z.string()).max(1_000_000).exactOptional(),
});

const InviteAnswer = z.object({ event: JsonObject });

/** An answer of the first version of the API: its status once more, and the answer; or the answer alone. */
const inV1 = <T>(answer: z.ZodType<T>) =>
  z
    .tuple([z.number(), answer])
    .transform(([, it]) => it)
    .or(answer);

/** What of the room a knock is answered with. */
const KnockAnswer = z.object({ knock_room_state: RawPdus });

type MembershipQuestions = Pick<
  Remotes,
  | "makeJoin"
  | "sendJoinV1"
  | "sendJoinV2"
  | "makeKnock"
  | "sendKnock"
  | "makeLeave"
  | "sendLeaveV1"
  | "sendLeaveV2"
  | "sendInviteV1"
  | "sendInviteV2"
  | "exchangeThirdPartyInvite"
>;

/** What other servers can be asked by whoever wants into their rooms, out of them, or others into ours. */
export function membershipQuestions(hs: Homeserver): MembershipQuestions {
  return {
    /** @spec server-server-api#get_matrixfederationv1make_joinroomiduserid */
    makeJoin: asking(hs, EventTemplate, ({ roomId, userId, versions }) => ({
      operation: "makeJoin",
      method: "GET",
      uri: withQuery(path`/_matrix/federation/v1/make_join/${roomId}/${userId}`, { ver: versions }),
    })),
    // As the specification had it before the second version.
    sendJoinV1: asking(hs, inV1(SendJoinAnswer), ({ roomId, eventId, event }) => ({
      operation: "sendJoinV1",
      method: "PUT",
      uri: path`/_matrix/federation/v1/send_join/${roomId}/${eventId}`,
      content: event,
      mostBytes: MOST_STATE_BYTES,
    })),
    /** @spec server-server-api#put_matrixfederationv2send_joinroomideventid */
    sendJoinV2: asking(hs, SendJoinAnswer, ({ roomId, eventId, event, omitMembers }) => ({
      operation: "sendJoinV2",
      method: "PUT",
      uri: withQuery(path`/_matrix/federation/v2/send_join/${roomId}/${eventId}`, {
        omit_members: omitMembers,
      }),
      content: event,
      mostBytes: MOST_STATE_BYTES,
    })),
    /** @spec server-server-api#get_matrixfederationv1make_knockroomiduserid */
    makeKnock: asking(hs, EventTemplate, ({ roomId, userId, versions }) => ({
      operation: "makeKnock",
      method: "GET",
      uri: withQuery(path`/_matrix/federation/v1/make_knock/${roomId}/${userId}`, {
        ver: versions,
      }),
    })),
    /** @spec server-server-api#put_matrixfederationv1send_knockroomideventid */
    sendKnock: asking(hs, KnockAnswer, ({ roomId, eventId, event }) => ({
      operation: "sendKnock",
      method: "PUT",
      uri: path`/_matrix/federation/v1/send_knock/${roomId}/${eventId}`,
      content: event,
    })),
    /** @spec server-server-api#get_matrixfederationv1make_leaveroomiduserid */
    makeLeave: asking(hs, EventTemplate, ({ roomId, userId }) => ({
      operation: "makeLeave",
      method: "GET",
      uri: path`/_matrix/federation/v1/make_leave/${roomId}/${userId}`,
    })),
    sendLeaveV1: asking(hs, inV1(JsonObject), ({ roomId, eventId, event }) => ({
      operation: "sendLeaveV1",
      method: "PUT",
      uri: path`/_matrix/federation/v1/send_leave/${roomId}/${eventId}`,
      content: event,
    })),
    /** @spec server-server-api#put_matrixfederationv2send_leaveroomideventid */
    sendLeaveV2: asking(hs, JsonObject, ({ roomId, eventId, event }) => ({
      operation: "sendLeaveV2",
      method: "PUT",
      uri: path`/_matrix/federation/v2/send_leave/${roomId}/${eventId}`,
      content: event,
    })),
    /** @spec server-server-api#put_matrixfederationv1inviteroomideventid */
    sendInviteV1: asking(hs, inV1(InviteAnswer), ({ roomId, eventId, event }) => ({
      operation: "sendInviteV1",
      method: "PUT",
      uri: path`/_matrix/federation/v1/invite/${roomId}/${eventId}`,
      content: event,
    })),
    /** @spec server-server-api#put_matrixfederationv2inviteroomideventid */
    sendInviteV2: asking(hs, InviteAnswer, ({ roomId, eventId, ...content }) => ({
      operation: "sendInviteV2",
      method: "PUT",
      uri: path`/_matrix/federation/v2/invite/${roomId}/${eventId}`,
      content,
    })),
    /** @spec server-server-api#put_matrixfederationv1exchange_third_party_inviteroomid */
    exchangeThirdPartyInvite: asking(hs, JsonObject, ({ roomId, event }) => ({
      operation: "exchangeThirdPartyInvite",
      method: "PUT",
      uri: path`/_matrix/federation/v1/exchange_third_party_invite/${roomId}`,
      content: event,
    })),
  };
}
