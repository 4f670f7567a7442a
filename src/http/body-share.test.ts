import { afterAll, expect, test } from "vitest";
import { testHomeservers } from "#src/testing.ts";
import { bodyShare } from "./body-share.ts";

const homes = await testHomeservers();
const { hs } = homes;
afterAll(async () => await homes.close());

const MEGABYTE = 1024 * 1024;

test("what comes from all at once, and from one network, has an end", () => {
  const full = expect.objectContaining({ errcode: "M_LIMIT_EXCEEDED", status: 429 });
  const takeAll = (address: string) => {
    const share = bodyShare(hs, address);
    let megabytes = 0;
    let refusal: unknown;
    while (refusal === undefined && megabytes < 1_000) {
      try {
        share.take(MEGABYTE);
        megabytes++;
      } catch (error) {
        refusal = error;
      }
    }
    return { share, megabytes, refusal };
  };
  const addresses = ["192.0.2.1", "2001:db8::1", "2001:db8::2", "192.0.2.2", "192.0.2.3"];
  const taken = addresses.map(takeAll);
  expect(taken.map((it) => it.megabytes)).toEqual([64, 64, 0, 64, 0]);
  expect(taken.map((it) => it.refusal)).toEqual(addresses.map(() => full));

  const [first] = taken;
  first?.share.giveBack();
  first?.share.giveBack();
  expect(takeAll("192.0.2.4").megabytes).toBe(64);
  expect(takeAll("192.0.2.1").megabytes).toBe(0);
});
