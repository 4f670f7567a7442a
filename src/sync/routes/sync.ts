import { watchAdmission } from "#src/auth/still-admitted.ts";
import { acknowledgeToDevice } from "#src/devices/to-device-queue.ts";
import { NO_FILTER } from "#src/filters/filter.ts";
import { filterFromParameter } from "#src/filters/stored-filters.ts";
import type { Homeserver } from "#src/homeserver/homeserver.ts";
import { type Endpoint, jsonText, userEndpoint } from "#src/http/endpoint.ts";
import { MatrixError } from "#src/kit/matrix-error.ts";
import type { Requester } from "#src/kit/requester.ts";
import { attend } from "#src/presence/attendance.ts";
import { alwaysTold } from "../always-told.ts";
import { waitForNews } from "../news.ts";
import { quietSince } from "../quiet-since.ts";
import { isEmpty, readSync, type SyncAnswer } from "../read-sync.ts";
import { BEFORE_ALL, sinceOf } from "../since.ts";
import type { SyncRequest } from "../sync-request.ts";
import { syncText } from "../sync-text.ts";
import { presenceOf, waitOf } from "./read-query.ts";

/** The specification's `sync.yaml`. */
export const syncEndpoints: readonly Endpoint[] = [
  userEndpoint({
    operation: "sync",
    method: "GET",
    path: "/_matrix/client/v3/sync",
    rate: "none",
    guests: true,
    async handle(hs, { requester, query, signal }) {
      const request = await requestOf(hs, requester, query);
      const received = request.resumeAfter ?? request.since;
      if (received !== undefined) await acknowledgeToDevice(hs, requester.deviceKey, received);
      const waitMs = waitOf(query);
      const leave = attend(hs, requester, presenceOf(query.get("set_presence")));
      try {
        const answer = await answerWithin(hs, request, { waitMs, signal });
        return jsonText(syncText(answer, await alwaysTold(hs, requester)));
      } finally {
        leave();
      }
    },
  }),
];

/** Answers at once if there is anything to tell, else when there is, or when the time is up. */
async function answerWithin(
  hs: Homeserver,
  request: SyncRequest,
  { waitMs, signal }: { waitMs: number; signal: AbortSignal },
): Promise<SyncAnswer> {
  const until = performance.now() + waitMs;
  const requireAdmitted = watchAdmission(hs, request.requester);
  const isOver = () => until <= performance.now() || signal.aborted || hs.stopping.aborted;
  for (let asked = request; ;) {
    let after = isOver() ? undefined : await quietSince(hs, asked);
    if (after === undefined) {
      const answer = await readSync(hs, asked);
      await requireAdmitted();
      const waits = request.since !== undefined && !request.fullState && isEmpty(answer);
      if (!waits || isOver()) return answer;
      after = answer.upTo;
    }
    await waitForNews(hs, request.requester, { after, waitMs: until - performance.now(), signal });
    // Up to there nothing has happened that the client wants to hear of.
    asked = {
      ...request,
      since: after,
      tokenAt: request.since,
      resumeAfter: undefined,
      resumeSticky: undefined,
    };
  }
}

async function requestOf(
  hs: Homeserver,
  requester: Requester,
  query: URLSearchParams,
): Promise<SyncRequest> {
  const filter = query.get("filter");
  const since = query.get("since");
  return {
    requester,
    filter: filter ? await filterFromParameter(hs, requester.userKey, filter) : NO_FILTER,
    ...(since ? await placeIn(hs, since) : { since: undefined }),
    fullState: booleanOf(query, "full_state"),
    stateAfter: booleanOf(query, "org.matrix.msc4222.use_state_after")
      ? "org.matrix.msc4222.state_after"
      : booleanOf(query, "use_state_after")
        ? "state_after"
        : undefined,
  };
}

/** Where a client is that has a token: who knows another past has to be told of all rooms and devices, and of rooms left. */
async function placeIn(
  hs: Homeserver,
  token: string,
): Promise<Awaited<ReturnType<typeof sinceOf>>> {
  const place = await sinceOf(hs, token);
  return { ...place, since: place.since ?? BEFORE_ALL };
}

/** @throws MatrixError M_INVALID_PARAM */
function booleanOf(query: URLSearchParams, name: string): boolean {
  const value = query.get(name);
  if (value === null || value === "" || value === "false") return false;
  if (value === "true") return true;
  throw new MatrixError("M_INVALID_PARAM", `${name} must be true or false`);
}
