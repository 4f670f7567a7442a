import { z } from "zod";
import type { Seen } from "./delivery.ts";
import type { HttpConnection } from "./http-connection.ts";
import { type Account, ask, sync } from "./matrix-client.ts";
import { marksIn } from "./payloads.ts";

/** What has been sent to a room and acknowledged: event ID to mark. */
export type SentEvents = Map<string, number>;

/** A member of a room, and where he had read to before the load began. */
export type Reader = { readonly account: Account; readonly since: string };

const event = z.object({
  event_id: z.string(),
  content: z.looseObject({
    body: z.unknown().optional(),
    status: z.unknown().optional(),
    reason: z.unknown().optional(),
  }),
});
const page = z.object({ chunk: z.array(event), end: z.string().optional() });
const syncBody = z.object({
  rooms: z
    .object({
      join: z
        .record(
          z.string(),
          z.object({
            timeline: z.object({
              events: z.array(event),
              limited: z.boolean().optional(),
              prev_batch: z.string().optional(),
            }),
          }),
        )
        .optional(),
    })
    .optional(),
});

/** Few, so that most rooms of a load have a gap to be filled, as after a night offline. */
const FILTER = JSON.stringify({ room: { timeline: { limit: 20 } } });
const PAGE = 100;

/** The token that a user who has seen everything so far would go on from. */
export async function readerOf(connection: HttpConnection, account: Account): Promise<Reader> {
  const filter = JSON.stringify({ room: { timeline: { limit: 1 } } });
  return { account, since: (await sync(connection, account, { filter })).nextBatch };
}

/**
 * Reads all of a room that came after a reader's token as a client does: a sync, and if it is limited the gap, page by
 * page backwards.
 */
export async function readBack(
  connection: HttpConnection,
  reader: Reader,
  { roomId, sent }: { readonly roomId: string; readonly sent: SentEvents },
): Promise<Seen> {
  const { account, since } = reader;
  const { body } = await sync(connection, account, { filter: FILTER, since });
  const joined = syncBody.parse(JSON.parse(body.toString())).rooms?.join ?? {};
  const timeline = new Map(Object.entries(joined)).get(roomId)?.timeline;
  const marks = (timeline?.events ?? []).flatMap((one) => markOf(one, sent));
  let from = timeline?.limited === true ? timeline.prev_batch : undefined;
  while (from !== undefined) {
    const query = `dir=b&limit=${PAGE}&from=${encodeURIComponent(from)}&to=${encodeURIComponent(since)}`;
    const path = `/rooms/${encodeURIComponent(roomId)}/messages?${query}`;
    const answer = await ask(connection, { method: "GET", path, account });
    const { chunk, end } = page.parse(JSON.parse(answer.toString()));
    marks.unshift(...chunk.toReversed().flatMap((one) => markOf(one, sent)));
    from = chunk.length === 0 ? undefined : end;
  }
  return { who: account.userId, marks };
}

/** By its ID; and if we know none such, by its content, so that an event sent twice is seen. */
function markOf({ event_id: id, content }: z.infer<typeof event>, sent: SentEvents): number[] {
  const mark = sent.get(id);
  if (mark !== undefined) return [mark];
  const text = content.body ?? content.status ?? content.reason;
  return typeof text === "string" ? marksIn(text) : [];
}
