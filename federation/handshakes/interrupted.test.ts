import { afterAll, beforeAll, describe, expect, test } from "vitest";
import type { Remotes } from "#src/homeserver/remotes.ts";
import { invitesOf, openStage, type Stage } from "./testing.ts";

let stage: Stage;
let { one, two, onOne, onTwo, alice, bob, roomOf } = {} as Stage;

beforeAll(async () => {
  stage = await openStage();
  ({ one, two, onOne, onTwo, alice, bob, roomOf } = stage);
});
afterAll(async () => await stage.federation.close());

const E = encodeURIComponent;

/** What bob is in a room, as the first server has it. */
const membershipOf = async (roomId: string) => {
  const path = `rooms/${E(roomId)}/state/m.room.member/${E(bob.userId)}`;
  return (await onOne("GET", path, { token: alice.token })).body.membership;
};

const invite = async (roomId: string) => {
  const body = { user_id: bob.userId };
  const { status } = await onOne("POST", `rooms/${E(roomId)}/invite`, { token: alice.token, body });
  expect(status).toBe(200);
};

const act = async (verb: "join" | "knock", roomId: string) =>
  await onTwo("POST", `${verb}/${E(roomId)}?via=${E(one.name)}`, { token: bob.token, body: {} });

const leave = async (roomId: string) =>
  await onTwo("POST", `rooms/${E(roomId)}/leave`, { token: bob.token, body: {} });

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

const KNOCKING = {
  preset: "private_chat",
  initial_state: [{ type: "m.room.join_rules", state_key: "", content: { join_rule: "knock" } }],
};

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

test("an invitation that is declined is declined once more", async () => {
  const { roomId } = await roomOf({ preset: "private_chat", invite: [bob.userId] });
  expect((await leave(roomId)).status).toBe(200);
  expect(await leave(roomId)).toMatchObject({ status: 200 });
});
