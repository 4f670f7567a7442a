import { z } from "zod";
import type { Homeserver } from "#src/homeserver/homeserver.ts";
import { type Call, type Endpoint, userEndpoint } from "#src/http/endpoint.ts";
import { readJsonBody } from "#src/http/read-body.ts";
import { JsonObject } from "#src/kit/json-object.ts";
import { MatrixError } from "#src/kit/matrix-error.ts";
import type { Requester } from "#src/kit/requester.ts";
import { sendNotice } from "../send-notice.ts";

const PATH = "/_synapse/admin/v1/send_server_notice";

const NoticeBody = z.object({
  user_id: z.string(),
  type: z.string().min(1).nullish(),
  state_key: z.string().nullish(),
  content: JsonObject,
});

/** Telling users something in the server's name, as administrators' tools know it from Synapse. */
export const serverNoticeEndpoints: readonly Endpoint[] = [
  userEndpoint({
    operation: "sendServerNotice",
    method: "POST",
    path: PATH,
    handle: send,
  }),
  userEndpoint({
    operation: "sendServerNoticeOnce",
    method: "PUT",
    path: `${PATH}/:txnId`,
    handle: send,
  }),
];

async function send(hs: Homeserver, call: Call<undefined, Requester>) {
  const { requester, params } = call;
  // Before the body is looked at: who may not know learns nothing.
  if (!requester.isAdmin) throw new MatrixError("M_FORBIDDEN", "You are no administrator");
  const body = await readJsonBody(call.request, call.incoming, NoticeBody);
  const { txnId } = params;
  const { deviceKey } = requester;
  return {
    event_id: await sendNotice(hs, {
      target: body.user_id,
      type: body.type ?? "m.room.message",
      stateKey: body.state_key ?? undefined,
      content: body.content,
      transaction: txnId === undefined ? undefined : { deviceKey, txnId },
    }),
  };
}
