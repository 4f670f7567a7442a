import { afterAll, describe, expect, test } from "vitest";
import { pushingHouse } from "./testing.ts";

const { ask, askOther, user, close } = await pushingHouse();
afterAll(close);

describe("a pusher", () => {
  test("is set whoever sets one for the same pushkey at the same moment", async () => {
    const users = [await user("ann"), await user("ben"), await user("cat")];
    const keys = ["shared 1", "shared 2", "shared 3"];
    for (let round = 0; round < 8; round++) {
      const set = Array.from({ length: 24 }, async (_, at) => {
        const its = { pushkey: keys[at % 3], append: at % 4 === 0 };
        return await users[Math.floor(at / 3) % 3]?.setPusher(its, {}, at % 2 ? ask : askOther);
      });
      const statuses = (await Promise.all(set)).map((it) => it?.status);
      expect(new Set(statuses)).toEqual(new Set([200]));
    }
  });

  test("is made for no device that is logged out at the same moment", async () => {
    for (let round = 0; round < 5; round++) {
      const { token, setPusher } = await user("dan");
      const set = Array.from({ length: 6 }, async (_, at) => await setPusher({ pushkey: `${at}` }));
      const out = ask("POST", "logout", { token });
      const statuses = (await Promise.all([...set, out])).map((it) => it.status);
      expect(new Set(statuses).difference(new Set([200, 401]))).toEqual(new Set());
    }
  });
});
