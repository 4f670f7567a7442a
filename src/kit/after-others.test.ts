import { expect, test } from "vitest";
import { afterOthers } from "./after-others.ts";

test("what is asked for by one key is done one after the other, however it ends, and by others meanwhile", async () => {
  const last = new Map<string, Promise<unknown>>();
  const said: string[] = [];
  const { promise: goesOn, resolve: goOn } = Promise.withResolvers<void>();
  const first = afterOthers(last, "a", async () => {
    await goesOn;
    said.push("first");
    throw new Error("It fails.");
  });
  const second = afterOthers(last, "a", async () => said.push("second"));
  await afterOthers(last, "b", async () => said.push("other"));
  expect(said).toEqual(["other"]);
  goOn();
  await expect(first).rejects.toThrow("It fails.");
  expect(await second).toBe(3);
  expect(said).toEqual(["other", "first", "second"]);
  expect(last.size).toBe(0);
});
