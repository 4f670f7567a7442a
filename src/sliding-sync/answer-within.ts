import { watchAdmission } from "#src/auth/still-admitted.ts";
import type { Homeserver } from "#src/homeserver/homeserver.ts";
import { waitForNews } from "#src/sync/news.ts";
import type { Connection } from "./connections.ts";
import { isEmpty, readSlidingSync, type SlidingAnswer } from "./read-sliding-sync.ts";
import type { SlidingRequest } from "./sliding-request.ts";

/** Answers at once if there is anything to tell, else when there is, or when the time is up. */
export async function answerWithin(
  hs: Homeserver,
  request: SlidingRequest,
  connection: Connection,
  { waitMs, signal }: { waitMs: number; signal: AbortSignal },
): Promise<SlidingAnswer> {
  const until = performance.now() + waitMs;
  const requireAdmitted = watchAdmission(hs, request.requester);
  for (let at = connection; ;) {
    const answer = await readSlidingSync(hs, request, at);
    await requireAdmitted();
    const left = until - performance.now();
    const waits = connection.position !== undefined && isEmpty(answer);
    if (!waits || left <= 0 || signal.aborted || hs.stopping.aborted) return answer;
    await waitForNews(hs, request.requester, { after: answer.upTo, waitMs: left, signal });
    // Up to there nothing has happened that the client wants to hear of.
    at = { ...at, position: answer.upTo, state: answer.state };
  }
}
