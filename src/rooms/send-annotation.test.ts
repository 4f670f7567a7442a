import { expect, test } from "vitest";
import type { EventId } from "#src/kit/identifiers.ts";
import { testHomeservers, testRoom, testUser } from "#src/testing.ts";
import { sendAnnotation } from "./send-annotation.ts";
import { sendEvent } from "./send-event.ts";

test.each([1, 2])(
  "of annotations that say the same at the same moment one is sent (by %i processes)",
  async (count) => {
    const servers = await testHomeservers(count);
    const [hs, other = servers.hs] = servers.all as [typeof servers.hs];
    // How many there are is heard of as time goes by.
    await expect.poll(async () => await hs.sql`select from processes`).toHaveLength(count);
    const user = await testUser(hs, "alice");
    const room = await testRoom(hs, user);
    const text = (body: string) => ({
      type: "m.room.message",
      content: { msgtype: "m.text", body },
    });
    const sender = user;
    const target = await sendEvent(hs, { sender, room, draft: text("hello") });
    let sent = 0;
    const annotate = async (by: typeof hs, key: string, txnId = `${sent++}`): Promise<EventId> =>
      await sendAnnotation(by, {
        sender,
        room,
        draft: {
          type: "m.reaction",
          content: { "m.relates_to": { rel_type: "m.annotation", event_id: target, key } },
        },
        transaction: { deviceKey: user.deviceKey, txnId },
      });
    for (let round = 0; round < 5; round++) {
      const tries = await Promise.allSettled([
        ...[hs, other, hs, other].map(async (by) => await annotate(by, `${round}`)),
        // What comes with them is not held up.
        sendEvent(hs, { sender, room, draft: text("beside") }),
        annotate(other, `other ${round}`),
      ]);
      const refused = tries.flatMap((it) => (it.status === "rejected" ? [it.reason] : []));
      expect(refused).toHaveLength(3);
      for (const it of refused) expect(it).toMatchObject({ errcode: "M_DUPLICATE_ANNOTATION" });
    }
    const again = await Promise.all([1, 2].map(async () => await annotate(hs, "again", "again")));
    expect(new Set(again).size).toBe(1);
    expect(await annotate(other, "again", "again")).toBe(again[0]);
    await servers.close();
  },
);
