import { z } from "zod";
import { type Endpoint, userEndpoint } from "#src/http/endpoint.ts";
import { deleteTag, setTag, tagsOf } from "../tags.ts";
import { checkSelf, roomKeyOf } from "./account-data.ts";

const TAGS = "/_matrix/client/v3/user/:userId/rooms/:roomId/tags";

/** Old clients send the order as a string; it is kept as it is. */
const Tag = z.looseObject({ order: z.union([z.number(), z.string(), z.null()]).optional() });

/** The specification's `tags.yaml`. */
export const tagEndpoints: readonly Endpoint[] = [
  userEndpoint({
    operation: "getRoomTags",
    method: "GET",
    path: TAGS,
    async handle(hs, { requester, params }) {
      checkSelf(requester, params);
      const roomKey = await roomKeyOf(hs, params);
      return { tags: await tagsOf(hs, { userKey: requester.userKey, roomKey }) };
    },
  }),
  userEndpoint({
    operation: "setRoomTag",
    method: "PUT",
    path: `${TAGS}/:tag`,
    body: Tag,
    async handle(hs, { requester, params, body }) {
      checkSelf(requester, params);
      const roomKey = await roomKeyOf(hs, params);
      await setTag(hs, { userKey: requester.userKey, roomKey }, params["tag"] ?? "", body);
      return {};
    },
  }),
  userEndpoint({
    operation: "deleteRoomTag",
    method: "DELETE",
    path: `${TAGS}/:tag`,
    async handle(hs, { requester, params }) {
      checkSelf(requester, params);
      const roomKey = await roomKeyOf(hs, params);
      await deleteTag(hs, { userKey: requester.userKey, roomKey }, params["tag"] ?? "");
      return {};
    },
  }),
];
