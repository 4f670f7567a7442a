import { z } from "zod";
import { type Endpoint, jsonText, serverEndpoint } from "#src/http/endpoint.ts";
import { MOST_BYTES } from "#src/http/server-request.ts";
import { MatrixError } from "#src/kit/matrix-error.ts";
import { receiveTransaction } from "../receive-transaction.ts";

const MOST_PDUS = 50;
const MOST_EDUS = 100;

/** Longer than any that a server makes. */
const LONGEST_ID = 512;

/** A list of which some servers write null when it is empty. */
const list = (most: number) =>
  z
    .array(z.unknown())
    .max(most)
    .nullish()
    .transform((it) => it ?? []);

const Transaction = z.object({ pdus: list(MOST_PDUS), edus: list(MOST_EDUS) });

/** The specification's `transactions.yaml`. */
export const transactionEndpoints: readonly Endpoint[] = [
  /** @spec server-server-api#put_matrixfederationv1sendtxnid */
  serverEndpoint<z.infer<typeof Transaction>>({
    operation: "sendTransaction",
    method: "PUT",
    path: "/_matrix/federation/v1/send/:txnId",
    body: Transaction,
    async handle(hs, { requester: origin, params, request, body: { pdus, edus } }) {
      const { txnId = "" } = params;
      if (txnId.length > LONGEST_ID || txnId.includes("\0")) {
        throw new MatrixError("M_INVALID_PARAM", "Not a transaction ID");
      }
      // Who does not say beforehand how much it sends may be sending all that there may be.
      const bytes = Number(request.header("content-length") ?? MOST_BYTES);
      return jsonText(await receiveTransaction(hs, { origin, txnId, pdus, edus, bytes }));
    },
  }),
];
