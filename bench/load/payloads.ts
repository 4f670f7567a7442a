/** What is sent: bodies of the size that real rooms have, each with a mark that tells it from all others. */

/** The length of a message's body, in bytes. */
const BODY_BYTES = 600;

const FILLER =
  "Here is the draft for the meeting on Thursday. Please read the second part with care, for the figures of the " +
  "last quarter are new and two of them differ from what we had in May. ";

/** One event of the load: who in the load made it, and the how-manieth of his it is. */
export type Mark = { readonly stream: number; readonly ordinal: number };

/** Marks in a text, in the order in which they stand. Works on bytes of any answer, parsed or not. */
export function marksIn(text: string): number[] {
  const found: number[] = [];
  for (const match of text.matchAll(/~(\d+)\.(\d+)~/g)) {
    found.push(markNumber({ stream: Number(match[1]), ordinal: Number(match[2]) }));
  }
  return found;
}

/** A mark as one number. */
export function markNumber({ stream, ordinal }: Mark): number {
  return stream * 1_000_000 + ordinal;
}

/** The stream that a mark's number belongs to. */
export function streamOf(mark: number): number {
  return Math.floor(mark / 1_000_000);
}

/** A body of the usual length that begins with a mark. */
export function markedBody({ stream, ordinal }: Mark): string {
  const mark = `~${stream}.${ordinal}~ `;
  return mark + FILLER.repeat(4).slice(0, BODY_BYTES - mark.length);
}

/** The content of a plain message, as JSON. */
export function messageContent(mark: Mark): string {
  return `{"msgtype":"m.text","body":"${markedBody(mark)}"}`;
}

/** The content of an edit of a message. The mark stands in the fallback only, once as in all others. */
export function editContent(mark: Mark, eventId: string): string {
  const { length } = markedBody(mark);
  return (
    `{"msgtype":"m.text","body":"* ${markedBody(mark)}",` +
    `"m.new_content":{"msgtype":"m.text","body":"${FILLER.repeat(4).slice(0, length)}"},` +
    `"m.relates_to":{"rel_type":"m.replace","event_id":${JSON.stringify(eventId)}}}`
  );
}

/** The content of a redaction. */
export function redactionContent(mark: Mark): string {
  return `{"reason":"~${mark.stream}.${mark.ordinal}~"}`;
}

/** The content of a state event. */
export function stateContent(mark: Mark): string {
  return `{"status":"${markedBody(mark)}"}`;
}

/** What the next event of a mixed load is. */
export type EventKind = "message" | "state" | "redaction" | "edit";

/** The kind at a place in the mixture of a real room: one in five is state, one in twenty each a redaction and an edit. */
export function kindAt(ordinal: number): EventKind {
  const place = ordinal % 20;
  if (place % 5 === 4) return "state";
  if (place === 7) return "redaction";
  return place === 12 ? "edit" : "message";
}
