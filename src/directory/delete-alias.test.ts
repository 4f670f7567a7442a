import { afterAll, expect, test } from "vitest";
import { killedAnywhere } from "#src/testing-crash.ts";
import { asking, type Ask, LENIENT, registered } from "#src/testing-http.ts";
import { testHomeservers } from "#src/testing.ts";

const homes = await testHomeservers(2, LENIENT);
const [, victim] = homes.all as [typeof homes.hs, typeof homes.hs];
const [ask, askVictim] = homes.all.map(asking) as [Ask, Ask];
afterAll(async () => await homes.close());

test("no room goes on naming an alias that a process has deleted which was killed over it", async () => {
  const { access_token: token } = await registered(ask, "alice");
  let alias = "";
  let path = "";
  const act = async (round: number) => {
    const body = { room_alias_name: `room-${round}`, room_version: "11" };
    const { room_id } = (await ask("POST", "createRoom", { token, body })).body;
    alias = `#room-${round}:test`;
    path = `rooms/${room_id}/state/m.room.canonical_alias/`;
    const deleting = `directory/room/${encodeURIComponent(alias)}`;
    const { status } = await askVictim("DELETE", deleting, { token });
    if (status !== 200) throw new Error(`answered with ${status}`);
  };
  await killedAnywhere(victim, act, async () => {
    const found = await ask("GET", `directory/room/${encodeURIComponent(alias)}`);
    const { body } = await ask("GET", path, { token });
    expect([200, 404]).toContain(found.status);
    expect(found.status === 404 && body["alias"] === alias).toBe(false);
  });
});
