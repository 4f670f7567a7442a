import { setImmediate as nextTurn } from "node:timers/promises";
import { expect, test } from "vitest";
import type { UserId } from "#src/kit/identifiers.ts";
import { checkPdus } from "./check-pdus.ts";
import { RemoteRoom } from "./testing.ts";

test("lets others have their turn while very many events are read", async () => {
  const remote = new RemoteRoom("12", "many");
  const creator: UserId = "@creator:one.test";
  const last = remote.add(creator, { type: "m.room.message", content: {} }, [
    remote.begin(creator),
  ]);
  const pdu: unknown = JSON.parse(remote.received(last).json);
  let turns = 0;
  let isDone = false;
  const counting = (async () => {
    for (; !isDone; turns++) await nextTurn();
  })();
  let turnsOfReading = 0;
  const checked = await checkPdus(
    Array.from({ length: 5_000 }, () => pdu),
    {
      rules: remote.rules,
      now: Date.now(),
      keys: async () => {
        turnsOfReading = turns;
        return new Map();
      },
    },
  );
  isDone = true;
  await counting;
  expect(turnsOfReading).toBeGreaterThan(2);
  expect(checked).toHaveLength(5_000);
  expect(checked.at(-1)).toMatchObject({ ok: false, check: 2 });
});
