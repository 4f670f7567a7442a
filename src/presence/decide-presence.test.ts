import { describe, expect, test } from "vitest";
import { decidePresence, type PresenceAct } from "./decide-presence.ts";
import { IDLE_MS, type Presence } from "./presence.ts";

const now = 10_000_000;
const offline: Presence = {
  userKey: 1,
  local: true,
  state: "offline",
  statusMsg: undefined,
  lastActiveMs: 0,
};
const online: Presence = { ...offline, state: "online", lastActiveMs: now - 1_000 };
const away: Presence = { ...online, state: "unavailable" };

const decided = (
  before: Presence,
  act: PresenceAct,
  around: { syncing?: "online" | "unavailable"; toldMs?: number } = {},
) =>
  decidePresence(before, act, {
    syncing: around.syncing,
    toldMs: around.toldMs ?? 0,
    now,
  });

describe("a user", () => {
  const sync = (state: "online" | "unavailable" | undefined) =>
    ({ kind: "sync", processId: "p", state }) as const;

  test("is there as soon as a client syncs, and gone when none does", () => {
    const came = decided(offline, sync("online"), { syncing: "online" });
    expect(came).toEqual({ ...online, lastActiveMs: now });
    expect(decided(came, sync(undefined))).toEqual({ ...came, state: "offline" });
    expect(decided(offline, sync(undefined))).toBe(offline);
    const cameAway = decided(offline, sync("unavailable"), { syncing: "unavailable" });
    expect(cameAway).toEqual({ ...offline, state: "unavailable" });
  });

  test("stays what they said to be when another client of theirs goes", () => {
    expect(decided(away, sync(undefined), { syncing: "online" })).toBe(away);
    expect(decided(online, sync(undefined), { syncing: "unavailable" })).toBe(online);
  });

  test("is what they say", () => {
    const said = { kind: "say", state: "unavailable", statusMsg: "at lunch" } as const;
    expect(decided(online, said)).toEqual({ ...away, statusMsg: "at lunch" });
    const back = { kind: "say", state: "online", statusMsg: undefined } as const;
    expect(decided(away, back)).toEqual({ ...online, lastActiveMs: now });
  });

  test("falls idle, and is back when they do something", () => {
    const idle = { kind: "idle", lastActiveMs: now - IDLE_MS } as const;
    const before = { ...online, lastActiveMs: 0 };
    const after = { ...before, state: "unavailable", lastActiveMs: now - IDLE_MS } as const;
    expect(decided(before, idle)).toEqual(after);
    expect(decided(online, idle)).toBe(online);
    const act = { kind: "act", atMs: now } as const;
    expect(decided(after, act, { syncing: "online" })).toEqual({ ...online, lastActiveMs: now });
    expect(decided(after, act)).toBe(after);
    // Who wants to be taken for offline does not show themselves by what they do.
    expect(decided(offline, act, { syncing: "online" })).toBe(offline);
  });

  test("of another server is what that says, until it no longer says so", () => {
    const theirs: Presence = { ...offline, local: false };
    const told = { kind: "told", state: "online", statusMsg: "hi", lastActiveMs: 5 } as const;
    const there = decided(theirs, told);
    expect(there).toEqual({ ...theirs, state: "online", statusMsg: "hi", lastActiveMs: 5 });
    const unheard = { kind: "unheard", sinceMs: 100 } as const;
    expect(decided(there, unheard, { toldMs: 100 })).toBe(there);
    expect(decided(there, unheard, { toldMs: 99 })).toEqual({ ...there, state: "offline" });
  });
});
