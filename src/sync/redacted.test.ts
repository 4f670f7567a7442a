import { afterAll, beforeAll, expect, test, vi } from "vitest";
import type { Homeserver } from "#src/homeserver/homeserver.ts";
import { tailOf } from "#src/streams/tail.ts";
import { type Ask, asking, LENIENT, registered } from "#src/testing-http.ts";
import { testHomeservers, type TestHomeservers } from "#src/testing.ts";
import { joinedRoom, type SlidingAnswer } from "../../spec-tests/answers.ts";

let servers: TestHomeservers;
let ask: Ask;
let other: Ask;

beforeAll(async () => {
  servers = await testHomeservers(2, LENIENT);
  [ask, other] = servers.all.map(asking) as [Ask, Ask];
});
afterAll(async () => await servers.close());

const SLIDING = "/_matrix/client/unstable/org.matrix.simplified_msc3575/sync";
const ALL = { lists: { all: { ranges: [[0, 9]], timeline_limit: 10, required_state: [] } } };

test("tells by no way what has been redacted by another process, though it was heard of before", async () => {
  const { access_token: token } = await registered(ask, "alice");
  const { room_id: roomId } = (await ask("POST", "createRoom", { token, body: {} })).body;
  const { next_batch } = (await other("GET", "sync", { token })).body;
  const { pos } = (await other<SlidingAnswer>("POST", SLIDING, { token, body: ALL })).body;

  const secret = { msgtype: "m.text", body: "a secret" };
  const sent = await ask("PUT", `rooms/${roomId}/send/m.room.message/one`, { token, body: secret });
  await haveCaughtUp();
  const { event_id } = sent.body;
  const path = `rooms/${roomId}/redact/${event_id}/two`;
  expect((await ask("PUT", path, { token, body: {} })).status).toBe(200);
  await haveCaughtUp();

  const sync = await other("GET", `sync?since=${next_batch}`, { token });
  const { events } = joinedRoom(sync.body, roomId).timeline;
  const stream = await other("GET", `events?from=${next_batch}`, { token });
  const sliding = await other<SlidingAnswer>("POST", `${SLIDING}?pos=${pos}`, { token, body: ALL });
  for (const its of [events, stream.body.chunk, sliding.body.rooms[roomId]?.timeline]) {
    expect(its).toMatchObject([
      { event_id, content: {}, unsigned: { redacted_because: {} } },
      { type: "m.room.redaction" },
    ]);
  }
});

/** All processes know what any has done. */
async function haveCaughtUp(): Promise<void> {
  const positions = () => servers.all.map((it: Homeserver) => tailOf(it).position);
  await vi.waitFor(() => expect(new Set(positions()).size).toBe(1), { timeout: 20_000 });
}
