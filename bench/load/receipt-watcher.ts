import { z } from "zod";
import { HttpConnection, type HttpTarget } from "./http-connection.ts";
import type { Synced } from "./long-poller.ts";
import { sync } from "./matrix-client.ts";

/** A client that is online and waits, and knows who has read how far. */
export type ReceiptWatcher = {
  /** By user, the last event that each is known to have read. */
  readonly read: ReadonlyMap<string, string>;
  stop(): Promise<void>;
};

const POLL_MS = 30_000;

const ephemeral = z.object({
  rooms: z
    .object({
      join: z
        .record(
          z.string(),
          z.object({
            ephemeral: z
              .object({
                events: z.array(
                  z.object({ type: z.string(), content: z.record(z.string(), z.unknown()) }),
                ),
              })
              .optional(),
          }),
        )
        .optional(),
    })
    .optional(),
});
const readers = z.object({ "m.read": z.record(z.string(), z.unknown()).optional() });

/** Goes on from a first sync, over a connection of its own. */
export function watchReceipts(
  target: HttpTarget,
  { account, filter, since }: Synced,
): ReceiptWatcher {
  const connection = new HttpConnection(target);
  const read = new Map<string, string>();
  let stopping = false;
  const loop = (async () => {
    let from = since;
    while (!stopping) {
      const asked = { filter, since: from, timeoutMs: POLL_MS, presence: "online" } as const;
      const answer = await sync(connection, account, asked).catch((error: unknown) => {
        if (!stopping) throw error;
      });
      if (!answer) return;
      from = answer.nextBatch;
      take(read, answer.body);
    }
  })();
  // A fault is told by `stop`.
  loop.catch(() => {});
  return {
    read,
    async stop() {
      stopping = true;
      connection.close();
      await loop;
    },
  };
}

function take(read: Map<string, string>, body: Buffer): void {
  const { rooms } = ephemeral.parse(JSON.parse(body.toString()));
  const receipts = Object.values(rooms?.join ?? {})
    .flatMap((room) => room.ephemeral?.events ?? [])
    .filter(({ type }) => type === "m.receipt");
  for (const [eventId, about] of receipts.flatMap(({ content }) => Object.entries(content))) {
    const users = readers.parse(about)["m.read"] ?? {};
    for (const user of Object.keys(users)) read.set(user, eventId);
  }
}
