import { z } from "zod";
import { type Endpoint, userEndpoint } from "#src/http/endpoint.ts";
import { parseRoomId } from "#src/kit/identifiers.ts";
import { MatrixError } from "#src/kit/matrix-error.ts";
import { roomOfMember } from "../room-of-member.ts";
import { setTyping } from "../set-typing.ts";

/** For clients that do not say how long. */
const STANDARD_MS = 30_000;

/** The specification's `typing.yaml`. */
export const typingEndpoints: readonly Endpoint[] = [
  userEndpoint({
    operation: "setTyping",
    method: "PUT",
    path: "/_matrix/client/v3/rooms/:roomId/typing/:userId",
    body: z.object({ typing: z.boolean(), timeout: z.int().min(0).optional() }),
    async handle(hs, { requester, params, body }) {
      if (params["userId"] !== requester.userId) {
        throw new MatrixError("M_FORBIDDEN", "You cannot say that others are typing");
      }
      const room = await roomOfMember(hs, requester, parseRoomId(params["roomId"] ?? ""));
      const whose = { roomKey: room.roomKey, userKey: requester.userKey };
      await setTyping(hs, whose, body.typing ? (body.timeout ?? STANDARD_MS) : 0);
      return {};
    },
  }),
];
