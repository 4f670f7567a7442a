import type { Homeserver } from "#src/homeserver/homeserver.ts";
import { MatrixError } from "#src/kit/matrix-error.ts";
import { OutboundError } from "#src/outbound/outbound-failure.ts";
import type { OutboundAnswer } from "#src/outbound/send-request.ts";
import { askAppservice } from "./ask-appservice.ts";
import { endWait } from "./queries-owed.ts";

/** How long an application service may take: it waits for itself. */
const TIMEOUT_MS = 15_000;

/** The most of a wrong answer that is handed back. */
const MOST_TEXT = 4_096;

/**
 * Finds out whether we reach an application service. If so, it is told at once what it has missed: bridges ask when
 * they start.
 *
 * @returns how long that took, in milliseconds.
 * @throws MatrixError M_FORBIDDEN unless the application service asks itself; M_URL_NOT_SET; M_BAD_STATUS;
 *   M_CONNECTION_FAILED; M_CONNECTION_TIMEOUT.
 * @spec client-server-api#post_matrixclientv1appserviceappserviceidping
 */
export async function pingAppservice(
  hs: Homeserver,
  asking: { readonly appserviceId: string; readonly askerId: string | undefined },
  transactionId: string | undefined,
): Promise<number> {
  const { appserviceId, askerId } = asking;
  const appservice = hs.config.appservices.find((it) => it.id === appserviceId);
  if (!appservice || askerId !== appserviceId) {
    throw new MatrixError("M_FORBIDDEN", "The access token is not this application service's");
  }
  const body = transactionId === undefined ? {} : { transaction_id: transactionId };
  const begun = performance.now();
  let answer: OutboundAnswer | undefined;
  try {
    answer = await askAppservice(hs, appservice, {
      purpose: "pingAppservice",
      method: "POST",
      path: "/_matrix/app/v1/ping",
      body: JSON.stringify(body),
      timeoutMs: TIMEOUT_MS,
    });
  } catch (cause) {
    const isLate = cause instanceof OutboundError && cause.fault === "timeout";
    throw isLate
      ? new MatrixError("M_CONNECTION_TIMEOUT", "The application service takes too long", { cause })
      : new MatrixError("M_CONNECTION_FAILED", "The application service cannot be reached", {
          cause,
        });
  }
  if (!answer) throw new MatrixError("M_URL_NOT_SET", "The application service has no URL");
  const { status } = answer;
  if (status < 200 || status > 299) {
    const text = answer.body.toString("utf8").slice(0, MOST_TEXT);
    const fields = { status, body: text };
    throw new MatrixError("M_BAD_STATUS", `The application service answers with ${status}`, {
      fields,
    });
  }
  const durationMs = Math.round(performance.now() - begun);
  await endWait(hs.sql, appserviceId);
  return durationMs;
}
