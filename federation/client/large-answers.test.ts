import { afterAll, expect, test, vi } from "vitest";
import {
  answerTurnsOf,
  MOST_WORKED_ON_BYTES,
  withAnswerMemory,
} from "#src/homeserver/answer-memory.ts";
import type { AskOptions } from "#src/homeserver/ask-options.ts";
import type { EventId, RoomId } from "#src/kit/identifiers.ts";
import { OutboundError } from "#src/outbound/outbound-failure.ts";
import { testFederation } from "../testing.ts";
import { pretendedServer } from "./testing.ts";

const federation = await testFederation();
const { hs } = await federation.open();
const other = await pretendedServer(federation, "liar.test");
afterAll(async () => await federation.close());

const never = new AbortController().signal;
const turns = answerTurnsOf(hs);

/** Asks for a state of two megabytes, or of none. */
async function askForState(count: number, options?: AskOptions) {
  const events = Array.from({ length: count }, () => ({ type: "x".repeat(1024) }));
  other.saying({ auth_chain: [], pdus: events });
  const question = { roomId: "!r:liar.test" as RoomId, eventId: "$e" as EventId };
  return await hs.remotes.getRoomState(other.name, question, options);
}

test("a large answer waits until there is memory for it, and a small one does not", async () => {
  expect(await turns.take(MOST_WORKED_ON_BYTES, never)).toBe(true);
  const answered = vi.fn<() => void>();
  const large = askForState(2_000).finally(answered);
  await expect.poll(() => other.asked.request).toContain("/state/");
  expect(await askForState(1)).toMatchObject({ ok: true });
  expect(answered).not.toHaveBeenCalled();
  turns.give(MOST_WORKED_ON_BYTES);
  expect(await large).toMatchObject({ ok: true });
});

test("a large answer whose asker gives up is none", async () => {
  expect(await turns.take(MOST_WORKED_ON_BYTES, never)).toBe(true);
  const signal = AbortSignal.timeout(1_500);
  const answer = await askForState(2_000, { signal });
  expect(answer).toMatchObject({ ok: false, why: "unreachable" });
  expect("cause" in answer && answer.cause).toBeInstanceOf(OutboundError);
  turns.give(MOST_WORKED_ON_BYTES);
});

test("a large answer has its memory until what it is for has been made of it", async () => {
  const isFree = async () => {
    const isThere = await turns.take(MOST_WORKED_ON_BYTES, AbortSignal.timeout(50));
    if (isThere) turns.give(MOST_WORKED_ON_BYTES);
    return isThere;
  };
  await withAnswerMemory(hs, async (memory) => {
    expect(memory.answerBytes()).toBe(0);
    expect(await askForState(2_000, { memory })).toMatchObject({ ok: true });
    expect(memory.answerBytes()).toBeGreaterThan(2_000 * 1024);
    expect(await isFree()).toBe(false);
    memory.release();
    expect(await isFree()).toBe(true);
  });
  await expect(
    withAnswerMemory(hs, async (memory) => {
      await askForState(2_000, { memory });
      throw new Error("nothing could be made of it");
    }),
  ).rejects.toThrow("nothing");
  await withAnswerMemory(hs, async (memory) => {
    other.saying({ pdus: Array.from({ length: 2_000 }, () => "x".repeat(1024)) });
    const question = { roomId: "!r:liar.test" as RoomId, eventId: "$e" as EventId };
    const answer = await hs.remotes.getRoomState(other.name, question, { memory });
    expect(answer).toMatchObject({ ok: false, why: "malformed" });
    expect(await isFree()).toBe(true);
  });
  expect(await isFree()).toBe(true);
});
