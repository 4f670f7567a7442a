import { setTimeout as sleep } from "node:timers/promises";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { deactivateAccount } from "#src/accounts/deactivate-account.ts";
import { finishDeactivations } from "#src/accounts/leave-rooms.ts";
import type { Homeserver } from "#src/homeserver/homeserver.ts";
import type { Remotes } from "#src/homeserver/remotes.ts";
import { tellLeaves } from "#src/membership/outside/job-tell-leaves.ts";
import { invitesOf, openStage, type Stage, user, type User } from "./testing.ts";

let stage: Stage;
let { one, two, onOne, onTwo, alice, bob, roomOf } = {} as Stage;

beforeAll(async () => {
  stage = await openStage();
  ({ one, two, onOne, onTwo, alice, bob, roomOf } = stage);
});
afterAll(async () => await stage.federation.close());

const E = encodeURIComponent;

/** What a user is in a room, as the first server has it. */
const membershipOf = async (roomId: string, { userId }: User = bob) => {
  const path = `rooms/${E(roomId)}/state/m.room.member/${E(userId)}`;
  return (await onOne("GET", path, { token: alice.token })).body.membership;
};

const invite = async (roomId: string) => {
  const body = { user_id: bob.userId };
  const { status } = await onOne("POST", `rooms/${E(roomId)}/invite`, { token: alice.token, body });
  expect(status).toBe(200);
};

const act = async (verb: "join" | "knock", roomId: string, { token }: User = bob) =>
  await onTwo("POST", `${verb}/${E(roomId)}?via=${E(one.name)}`, { token, body: {} });

const leave = async (roomId: string) =>
  await onTwo("POST", `rooms/${E(roomId)}/leave`, { token: bob.token, body: {} });

const AWAY = { ok: false, why: "unreachable", cause: new Error("away") } as const;

/** Does something while the second server asks the first in other ways than it does. */
async function asking<T>(ways: Partial<Remotes>, during: () => Promise<T>): Promise<T> {
  const { remotes } = two.hs;
  const usual = Object.fromEntries(
    Object.keys(ways).map((it) => [it, remotes[it as keyof Remotes]]),
  );
  Object.assign(remotes, ways);
  try {
    return await during();
  } finally {
    Object.assign(remotes, usual);
  }
}

/** Has the second server tell, by its other process, who is out of which rooms. */
async function tellNow(): Promise<void> {
  await two.hs.sql`update untold_leaves set due_ms = 0`;
  await tellLeaves.run(two.all[1] as Homeserver, new AbortController().signal);
}

const KNOCKING = {
  preset: "private_chat",
  initial_state: [{ type: "m.room.join_rules", state_key: "", content: { join_rule: "knock" } }],
};

test("a leave of which hanging servers are to be told takes only so long, and begins with another the next time", async () => {
  const asked: string[] = [];
  const { now } = two.hs;
  let hungMs = 0;
  const makeLeave: Remotes["makeLeave"] = async (server) => {
    asked.push(server);
    hungMs += 20_000;
    return await Promise.resolve(AWAY);
  };
  Object.assign(two.hs, { now: () => now() + hungMs });
  const servers = ["a.test", "b.test", "c.test"];
  await two.hs.sql`
    insert into untold_leaves (user_id, room_id, servers, since_ms, due_ms)
    values (${bob.userId}, '!hung:a.test', ${servers}::text[], ${now()}, 0)`;
  await asking({ makeLeave }, async () => {
    for (let attempts = 0; attempts < 2; attempts++) {
      await two.hs.sql`update untold_leaves set due_ms = 0`;
      await tellLeaves.run(two.hs, new AbortController().signal);
    }
  });
  Object.assign(two.hs, { now });
  await two.hs.sql`delete from untold_leaves`;
  expect(asked).toEqual(["a.test", "b.test", "b.test", "c.test"]);
});

describe("an invitation that comes", () => {
  test("before the answer to the knock that led to it stays", async () => {
    const { roomId } = await roomOf(KNOCKING);
    const { sendKnock } = two.hs.remotes;
    const slow: typeof sendKnock = async (...asked) => {
      const answer = await sendKnock(...asked);
      await invite(roomId);
      return answer;
    };
    const knocked = await asking({ sendKnock: slow }, async () => await act("knock", roomId));
    expect(knocked.status).toBe(200);
    expect(await invitesOf(onTwo, bob)).toHaveProperty([roomId]);
  });

  test("while one before it is being declined stays", async () => {
    const { roomId } = await roomOf({ preset: "private_chat", invite: [bob.userId] });
    const { sendLeaveV2 } = two.hs.remotes;
    const slow: typeof sendLeaveV2 = async (...asked) => {
      const answer = await sendLeaveV2(...asked);
      await invite(roomId);
      return answer;
    };
    const left = await asking({ sendLeaveV2: slow }, async () => await leave(roomId));
    expect(left.status).toBe(200);
    expect(await membershipOf(roomId)).toBe("invite");
    expect(await invitesOf(onTwo, bob)).toHaveProperty([roomId]);
  });
});

test("a knock that is refused before the answer to it has come is refused", async () => {
  const { roomId } = await roomOf(KNOCKING);
  const { sendKnock } = two.hs.remotes;
  const slow: typeof sendKnock = async (...asked) => {
    const answer = await sendKnock(...asked);
    const body = { user_id: bob.userId };
    const kicked = await onOne("POST", `rooms/${E(roomId)}/kick`, { token: alice.token, body });
    expect(kicked.status).toBe(200);
    await sleep(1_000);
    return answer;
  };
  const knocked = await asking({ sendKnock: slow }, async () => await act("knock", roomId));
  expect(knocked.status).toBe(200);
  const knocks = async () =>
    (await onTwo("GET", "sync", { token: bob.token })).body.rooms?.knock ?? {};
  await expect.poll(knocks).not.toHaveProperty([roomId]);
});

/** Has a knock be heard, and nobody here know of it. @returns what the user is then, and when the other process has seen to it. */
async function knockUnknown(roomId: string, meanwhile = async () => {}): Promise<string[]> {
  const { sendKnock } = two.hs.remotes;
  const lost: typeof sendKnock = async (...asked) => {
    await sendKnock(...asked);
    return AWAY;
  };
  const { status } = await asking({ sendKnock: lost }, async () => await act("knock", roomId));
  expect(status).toBe(502);
  const before = await membershipOf(roomId);
  await meanwhile();
  await tellNow();
  return [before, await membershipOf(roomId)];
}

describe("a knock of which nobody knows here whether it was heard", () => {
  test("is taken back", async () => {
    const { roomId } = await roomOf(KNOCKING);
    expect(await knockUnknown(roomId)).toEqual(["knock", "leave"]);
    expect(await two.hs.sql`select from untold_leaves`).toHaveLength(0);
    expect((await act("knock", roomId)).status).toBe(200);
    await tellNow();
    expect(await membershipOf(roomId)).toBe("knock");
  });

  test("stands if the user has been invited since, or had knocked before", async () => {
    const { roomId } = await roomOf(KNOCKING);
    const invited = await knockUnknown(roomId, async () => await invite(roomId));
    expect(invited).toEqual(["knock", "invite"]);
    expect(await invitesOf(onTwo, bob)).toHaveProperty([roomId]);
    const known = await roomOf(KNOCKING);
    expect((await act("knock", known.roomId)).status).toBe(200);
    expect(await knockUnknown(known.roomId)).toEqual(["knock", "knock"]);
    expect(await two.hs.sql`select from untold_leaves`).toHaveLength(0);
  });
});

test("an invitation that is declined is declined once more", async () => {
  const { roomId } = await roomOf({ preset: "private_chat", invite: [bob.userId] });
  expect((await leave(roomId)).status).toBe(200);
  expect(await leave(roomId)).toMatchObject({ status: 200 });
});

describe("a join", () => {
  test("in which the process ends is taken back", async () => {
    const { roomId } = await roomOf();
    const { sendJoinV2 } = two.hs.remotes;
    const memberships: string[] = [];
    const dying: typeof sendJoinV2 = async (...asked) => {
      await sendJoinV2(...asked);
      memberships.push(await membershipOf(roomId));
      // As if the process had been killed: it does not say any more that it is at it.
      await two.hs.sql`delete from room_entries`;
      await tellNow();
      memberships.push(await membershipOf(roomId));
      return AWAY;
    };
    await asking({ sendJoinV2: dying }, async () => await act("join", roomId));
    expect(memberships).toEqual(["join", "leave"]);
    expect(await two.hs.sql`select from untold_leaves`).toHaveLength(0);
  });

  test("of one whose account ends meanwhile is over with that", async () => {
    const { roomId } = await roomOf();
    const carol = await user(onTwo, "carol");
    const end = async () => await finishDeactivations.run(two.hs, new AbortController().signal);
    const { sendJoinV2 } = two.hs.remotes;
    const slow: typeof sendJoinV2 = async (...asked) => {
      const answer = await sendJoinV2(...asked);
      const [row] = await two.hs.sql<{ user_key: number }[]>`
        select user_key from users where user_id = ${carol.userId}`;
      const owner = { userKey: row?.user_key ?? 0, userId: carol.userId };
      await deactivateAccount(two.hs, owner, { erase: false });
      await end();
      return answer;
    };
    await asking({ sendJoinV2: slow }, async () => await act("join", roomId, carol));
    await end();
    await expect.poll(async () => await membershipOf(roomId, carol)).toBe("leave");
  });

  test("is not taken back in place of one before it", async () => {
    const { roomId } = await roomOf();
    const { sendJoinV2 } = two.hs.remotes;
    const away = async () => await Promise.resolve(AWAY);
    const failing = { sendJoinV2: away, makeLeave: away };
    const first = await asking(failing, async () => await act("join", roomId));
    expect(first.status).toBe(502);
    const slow: typeof sendJoinV2 = async (...asked) => {
      const answer = await sendJoinV2(...asked);
      await tellNow();
      return answer;
    };
    const second = await asking({ sendJoinV2: slow }, async () => await act("join", roomId));
    expect(second.status).toBe(200);
    expect(await membershipOf(roomId)).toBe("join");
    await tellNow();
    expect(await membershipOf(roomId)).toBe("join");
    expect(await two.hs.sql`select from untold_leaves`).toHaveLength(0);
  });
});
