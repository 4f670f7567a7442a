import { memberTexts } from "#src/kit/member-texts.ts";
import { isRawLiteral } from "#src/kit/raw-literal.ts";

/** Of an event: for how long it is sticky. Of proposal 4354, by its unstable name; redaction takes it away. */
export const STICKY = "msc4354_sticky";

/** The longest that an event can be sticky. */
export const MOST_STICKY_MS = 3_600_000;

/**
 * For how long an event is sticky, by what it says; undefined if it is not.
 *
 * @param sticky what the event has under `msc4354_sticky`.
 */
export function stickyMsOf(sticky: unknown): number | undefined {
  if (typeof sticky !== "object" || sticky === null || isRawLiteral(sticky)) return undefined;
  const { duration_ms: ms } = sticky as Record<string, unknown>;
  if (typeof ms !== "number" || !Number.isInteger(ms)) return undefined;
  return ms >= 0 && ms <= MOST_STICKY_MS ? ms : undefined;
}

/** The same by the event's text, of which nothing is parsed if it is not sticky. */
export function stickyMsOfText(json: string): number | undefined {
  if (!json.includes(`"${STICKY}":`)) return undefined;
  const text = memberTexts(json).get(STICKY);
  return text === undefined ? undefined : stickyMsOf(JSON.parse(text));
}
