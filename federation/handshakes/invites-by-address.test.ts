import { afterAll, beforeAll, beforeEach, describe, expect, test } from "vitest";
import type { RoomId } from "#src/kit/identifiers.ts";
import type { Ask } from "#src/testing-http.ts";
import { present } from "../../spec-tests/answers.ts";
import { identityServer } from "../../spec-tests/client-server/identity-server.ts";
import { invitesOf, openStage, type Stage, user, type User, VERSIONS } from "./testing.ts";

let stage: Stage;
let { onOne, onTwo, alice, bob, roomOf } = {} as Stage;

beforeAll(async () => {
  stage = await openStage();
  ({ onOne, onTwo, alice, bob, roomOf } = stage);
});
afterAll(async () => await stage.federation.close());

const E = encodeURIComponent;

describe("an invitation by an address", () => {
  const id = identityServer();
  beforeAll(async () => {
    id.name = await stage.federation.pretend("liar.test", id.listener);
  });
  beforeEach(() => {
    id.isValid = true;
    id.instead = () => undefined;
  });

  const invite = async (roomId: RoomId, address: string) => {
    const body = id.invite(address);
    const answer = await onOne("POST", `rooms/${E(roomId)}/invite`, { token: alice.token, body });
    expect(answer).toMatchObject({ status: 200, body: {} });
  };

  const onbind = async (body: object) =>
    await onTwo("PUT", "/_matrix/federation/v1/3pid/onbind", { body });

  test.each(VERSIONS)(
    "becomes the user's when the address turns out to be theirs: version %s",
    async (version) => {
      const { roomId } = await roomOf({ preset: "private_chat", room_version: version });
      const address = `bob${version}@two.test`;
      await invite(roomId, address);
      const bound = await onbind(id.bind(address, bob.userId));
      expect(bound).toMatchObject({ status: 200, body: {} });
      const { events } = present((await invitesOf(onTwo, bob))[roomId]).invite_state;
      // The name is that under which the address was invited.
      expect(events.find((it) => it.state_key === bob.userId)?.content).toMatchObject({
        membership: "invite",
        third_party_invite: { display_name: "b...@e...", signed: { mxid: bob.userId } },
      });
      const joined = await onTwo("POST", `join/${E(roomId)}`, { token: bob.token, body: {} });
      expect(joined.status).toBe(200);
    },
  );

  test("goes to the user of another server who has bound the address already", async () => {
    const { roomId } = await roomOf({ preset: "private_chat" });
    id.bind("bound@two.test", bob.userId);
    await invite(roomId, "bound@two.test");
    expect(await invitesOf(onTwo, bob)).toHaveProperty([roomId]);
  });

  test("becomes the user's in a room that their server is in", async () => {
    const carol = await user(onTwo, "carol-by-address");
    const { roomId } = await roomOf({ preset: "private_chat", invite: [bob.userId] });
    await onTwo("POST", `join/${E(roomId)}`, { token: bob.token, body: {} });
    await invite(roomId, "carol@two.test");
    const pending = async (ask: Ask, { token }: User) =>
      (await ask<{ type: string }[]>("GET", `rooms/${E(roomId)}/state`, { token })).body.some(
        (it) => it.type === "m.room.third_party_invite",
      );
    await expect.poll(async () => await pending(onTwo, bob), { timeout: 20_000 }).toBe(true);
    expect((await onbind(id.bind("carol@two.test", carol.userId))).status).toBe(200);
    const path = `rooms/${E(roomId)}/state/m.room.member/${E(carol.userId)}`;
    const membership = async () =>
      (await onOne("GET", path, { token: alice.token })).body.membership;
    // Her own server has made an event of alice's, of which alice's server hears like all others.
    await expect.poll(membership, { timeout: 20_000 }).toBe("invite");
    const joined = await onTwo("POST", `join/${E(roomId)}`, { token: carol.token, body: {} });
    expect(joined.status).toBe(200);
    await expect.poll(membership, { timeout: 20_000 }).toBe("join");
  });

  test("is taken by whoever shows that it is theirs when joining", async () => {
    const { roomId } = await roomOf({ preset: "private_chat" });
    await invite(roomId, "shown@two.test");
    const { invites } = id.bind("shown@two.test", bob.userId);
    const body = { third_party_signed: invites[0]?.signed };
    const joined = await onTwo("POST", `join/${E(roomId)}`, { token: bob.token, body });
    expect(joined.status).toBe(200);
  });

  test("does not, if nobody has signed that it is theirs", async () => {
    const { roomId } = await roomOf({ preset: "private_chat" });
    await invite(roomId, "unsigned@two.test");
    const { invites, ...about } = id.bind("unsigned@two.test", bob.userId);
    const own = invites[0]?.signed;
    const token = own?.token ?? "";
    for (const signed of [
      { ...own, signatures: {} },
      id.sign({ mxid: alice.userId, sender: alice.userId, token }),
      id.sign({ mxid: bob.userId, sender: alice.userId, token: "other" }),
    ]) {
      const its = [{ ...invites[0], signed }];
      expect((await onbind({ ...about, invites: its })).status).toBe(403);
    }
    expect(await invitesOf(onTwo, bob)).not.toHaveProperty([roomId]);
  });

  test("does not, if the key is no longer valid or nobody can say, or it was withdrawn", async () => {
    const { roomId } = await roomOf({ preset: "private_chat" });
    await invite(roomId, "late@two.test");
    const bound = id.bind("late@two.test", bob.userId);
    const body = { third_party_signed: bound.invites[0]?.signed };
    const join = async () => await onTwo("POST", `join/${E(roomId)}`, { token: bob.token, body });
    id.isValid = false;
    expect((await onbind(bound)).status).toBe(403);
    expect(await join()).toMatchObject({ status: 403, body: { errcode: "M_FORBIDDEN" } });
    id.instead = () => ({ status: 500, body: {} });
    expect((await onbind(bound)).status).toBe(502);
    expect(await join()).toMatchObject({ status: 502, body: { errcode: "M_UNKNOWN" } });
    id.isValid = true;
    id.instead = () => undefined;
    const token = bound.invites[0]?.signed.token ?? "";
    const path = `rooms/${E(roomId)}/state/m.room.third_party_invite/${token}`;
    await onOne("PUT", path, { token: alice.token, body: {} });
    expect((await onbind(bound)).status).toBe(403);
    expect(await join()).toMatchObject({ status: 403, body: { errcode: "M_FORBIDDEN" } });
    expect(await invitesOf(onTwo, bob)).not.toHaveProperty([roomId]);
  });
});
