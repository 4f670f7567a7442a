import { beforeAll, describe, expect, test } from "vitest";
import { lacksPair, sharedPair } from "./pair.ts";
import { E, eventually, type Person, personAt, textsOf, WITH_TIME } from "./person.ts";

const COUNT = 150;

describe.skipIf(await lacksPair()).each(["ours", "synapse"] as const)(
  "who joins a room of %s late",
  { timeout: WITH_TIME },
  (there) => {
    let owner: Person;
    let guest: Person;
    let roomId: string;
    const said = Array.from({ length: COUNT }, (_, index) => `said ${index}`);
    const ids: string[] = [];

    beforeAll(async () => {
      const pair = await sharedPair();
      [owner, guest] = await Promise.all([
        personAt(pair[there], "owner"),
        personAt(pair[there === "ours" ? "synapse" : "ours"], "guest"),
      ]);
      roomId = await owner.createRoom({ preset: "public_chat", name: "Log" });
      for (const text of said) ids.push(await owner.say(roomId, text));
      await guest.join(roomId, owner.home);
    }, WITH_TIME);

    test("can go to a moment, and look around there", async () => {
      const middle = ids[COUNT / 2] ?? "";
      const path = `/v3/rooms/${E(roomId)}`;
      const { origin_server_ts: ts } = await owner.does("GET", `${path}/event/${E(middle)}`);
      const query = `ts=${ts}&dir=f`;
      const found = await guest.does("GET", `/v1/rooms/${E(roomId)}/timestamp_to_event?${query}`);
      // Several may be of one millisecond.
      expect(Math.abs(ids.indexOf(found.event_id) - COUNT / 2)).toBeLessThanOrEqual(2);
      const around = await guest.does("GET", `${path}/context/${E(found.event_id)}?limit=4`);
      expect(around.event.event_id).toBe(found.event_id);
      // Synapse 1.163 has nothing around an event of history that it has not read yet.
      const least = there === "synapse" ? 1 : 0;
      expect(around.events_before.length).toBeGreaterThanOrEqual(least);
    });

    test("reads all that was said before, in its order and once", async () => {
      await eventually(async () => textsOf(await guest.all(roomId)), said);
      const events = await guest.all(roomId);
      expect(events[0]?.type).toBe("m.room.create");
      expect(new Set(events.map((it) => it.event_id)).size).toBe(events.length);
    });

    test("reads nothing of before if the room says so", async () => {
      const secret = await owner.createRoom({
        preset: "public_chat",
        initial_state: [
          {
            type: "m.room.history_visibility",
            state_key: "",
            content: { history_visibility: "joined" },
          },
        ],
      });
      const eventId = await owner.say(secret, "between us");
      await guest.join(secret, owner.home);
      await eventually(async () => await owner.membershipOf(guest, secret), "join");
      await owner.say(secret, "to all");
      await eventually(async () => textsOf(await guest.newest(secret)), ["to all"]);
      expect(textsOf(await guest.all(secret))).toEqual(["to all"]);
      const path = `/v3/rooms/${E(secret)}/event/${E(eventId)}`;
      expect([403, 404]).toContain((await guest.call("GET", path)).status);
    });
  },
);
