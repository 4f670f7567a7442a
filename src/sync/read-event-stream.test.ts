import { afterAll, beforeAll, expect, test } from "vitest";
import { openHomeserver } from "#src/open-homeserver.ts";
import { asking, LENIENT, registered } from "#src/testing-http.ts";
import { testHomeservers, type TestHomeservers } from "#src/testing.ts";

let servers: TestHomeservers;
beforeAll(async () => {
  servers = await testHomeservers(2, LENIENT);
});
afterAll(async () => await servers.close());

test("is the same from memory, and from the database by a process that was not there", async () => {
  const [one, other] = servers.all.map(asking);
  if (!one || !other) throw new Error("there are not two");
  const { access_token: token } = await registered(one, "alice");
  const { end } = (await one("GET", "events", { token })).body;
  const sent: string[] = [];
  for (const name of ["first", "second"]) {
    const { room_id } = (await one("POST", "createRoom", { token, body: { name } })).body;
    const path = `rooms/${room_id}/send/org.example/${name}`;
    sent.push((await one("PUT", path, { token, body: {} })).body.event_id);
  }
  const late = await openHomeserver(servers.hs.config, {
    databaseUrl: servers.database.url,
    log: servers.hs.log,
  });
  const askers = [one, other, asking(late.hs)];
  const answers = [];
  for (const ask of askers) {
    const ids: string[] = [];
    for (let from = end, more = true; more;) {
      const { body } = await ask("GET", `events?from=${from}&limit=3`, { token });
      ids.push(...body.chunk.map((it: { event_id: string }) => it.event_id));
      more = body.chunk.length > 0;
      from = body.end;
    }
    answers.push(ids);
  }
  expect(answers[0]).toEqual(expect.arrayContaining(sent));
  expect(new Set(answers[0]).size).toBe(answers[0]?.length);
  expect(answers[1]).toEqual(answers[0]);
  expect(answers[2]).toEqual(answers[0]);
  await late.close();
});
