import type { Homeserver } from "#src/homeserver/homeserver.ts";
import { type Call, type Endpoint, jsonText, userEndpoint } from "#src/http/endpoint.ts";
import type { Requester } from "#src/kit/requester.ts";
import { attend } from "#src/presence/attendance.ts";
import { mostWait, presenceOf, waitOf } from "#src/sync/routes/read-query.ts";
import { posOf } from "#src/timeline/token.ts";
import { answerWithin } from "../answer-within.ts";
import { connectionAt, newConnection, storeTold } from "../connections.ts";
import { type Form, slidingText } from "../sliding-text.ts";
import { AcceptedBody, type Asked, DeployedBody, readAccepted, readDeployed } from "./read-body.ts";

/** Simplified sliding sync, as clients of today ask for it and as it was accepted. MSC4186. */
export const slidingSyncEndpoints: readonly Endpoint[] = [
  userEndpoint({
    operation: "slidingSyncDeployed",
    method: "POST",
    path: "/_matrix/client/unstable/org.matrix.simplified_msc3575/sync",
    rate: "none",
    guests: true,
    body: DeployedBody,
    async handle(hs, call) {
      const { body, query, requester } = call;
      return await answer(hs, call, {
        form: "deployed",
        asked: readDeployed(body, requester.userId),
        connectionId: body.conn_id ?? "",
        pos: query.get("pos") ?? body.pos,
        waitMs: waitOf(query),
        presence: query.get("set_presence") ?? undefined,
        txnId: body.txn_id,
      });
    },
  }),
  userEndpoint({
    operation: "slidingSync",
    method: "POST",
    path: "/_matrix/client/v4/sync",
    rate: "none",
    guests: true,
    body: AcceptedBody,
    async handle(hs, call) {
      const { body } = call;
      return await answer(hs, call, {
        form: "accepted",
        asked: readAccepted(body),
        connectionId: body.conn_id ?? "",
        pos: body.pos,
        waitMs: mostWait(body.timeout ?? 0),
        presence: body.set_presence,
        txnId: undefined,
      });
    },
  }),
];

type Question = {
  readonly form: Form;
  readonly asked: Asked;
  readonly connectionId: string;
  readonly pos: string | undefined;
  readonly waitMs: number;
  readonly presence: string | undefined;
  /** By what the client knows the answer to a request; only the deployed form has it. */
  readonly txnId: string | undefined;
};

async function answer(
  hs: Homeserver,
  { requester, signal }: Pick<Call<unknown, Requester>, "requester" | "signal">,
  { form, asked, connectionId, pos, waitMs, presence, txnId }: Question,
): Promise<Response> {
  const name = { deviceKey: requester.deviceKey, connectionId };
  const state = presenceOf(presence);
  const connection = pos ? await connectionAt(hs, name, pos) : newConnection(name);
  const request = { ...asked, requester };
  const leave = attend(hs, requester, state);
  try {
    const told = await answerWithin(hs, request, connection, { waitMs, signal });
    // Nobody is there to go on from it; what it stored could be in the way of the next one.
    if (signal.aborted) return jsonText("{}");
    const toldKey = await storeTold(hs, connection, told.state);
    return jsonText(slidingText(told, { pos: posOf(told.upTo, toldKey), form, txnId }));
  } finally {
    leave();
  }
}
