import { afterAll, describe, expect, test } from "vitest";
import { memberDraft } from "#src/events/testing.ts";
import type { UserId } from "#src/kit/identifiers.ts";
import { isServerIn } from "#src/rooms/room-servers.ts";
import { sendEvent } from "#src/rooms/send-event.ts";
import { recordedFederation, sharedRoom, taking, WAIT } from "./testing.ts";

const { federation, hs1, one, two } = await recordedFederation({
  ARCHIPEL_FEDERATION_MAX_RETRY_WAIT_MS: "300",
});
afterAll(async () => await federation.close());

describe("membership at the time of an event decides", () => {
  test("who is kicked, banned or gone hears of it, and of nothing after", async () => {
    for (const membership of ["leave", "ban"]) {
      const shared = await sharedRoom(hs1.hs, [two.name, one.name]);
      const [, other = "@a:b"] = shared.members;
      one.mode = "down";
      await shared.say(`${membership} before`);
      await shared.setMember(other, membership);
      await shared.say(`${membership} after`);
      await expect.poll(() => taking(two, membership).length, WAIT).toBe(2);
      one.mode = "up";
      await expect.poll(() => taking(one, membership), WAIT).toEqual([`${membership} before`]);
      const told = () =>
        one.taken
          .flatMap((it) => it.body.pdus)
          .filter((it) => it["room_id"] === shared.room.roomId && it["state_key"] === other)
          .map((it) => it.content["membership"]);
      await expect.poll(told, WAIT).toEqual([membership]);
      await shared.say("and nothing after");
      await expect.poll(() => taking(two, "and nothing after").length, WAIT).toBeGreaterThan(0);
      expect(taking(one, membership)).toEqual([`${membership} before`]);
    }
  });

  test("who comes is owed what is sent after, and who comes again both stays", async () => {
    const shared = await sharedRoom(hs1.hs, [two.name]);
    const user: UserId = `@late:${one.name}`;
    await shared.say("stay 0");
    await shared.receive(user, memberDraft(user, "join"));
    one.mode = "down";
    await shared.say("stay 1");
    await shared.receive(user, memberDraft(user, "leave"));
    await shared.say("stay 2");
    await shared.receive(user, memberDraft(user, "join"));
    await shared.say("stay 3");
    await expect.poll(() => taking(two, "stay").length, WAIT).toBe(4);
    one.mode = "up";
    await expect.poll(() => taking(one, "stay"), WAIT).toEqual(["stay 1", "stay 3"]);
  });

  test("who turns out to have been there all along is sent the last that was said meanwhile", async () => {
    for (const history_visibility of ["shared", "joined"]) {
      const shared = await sharedRoom(hs1.hs, [two.name, one.name]);
      const [creator = "@a:b", member = "@a:b"] = shared.members;
      const prefix = `meanwhile ${history_visibility}`;
      const visibility = { type: "m.room.history_visibility", state_key: "" };
      await sendEvent(hs1.hs, {
        sender: shared.local,
        room: shared.room,
        draft: { ...visibility, content: { history_visibility } },
      });
      await shared.setMember(member, "leave");
      await shared.say(`${prefix} 1`);
      await shared.say(`${prefix} 2`);
      // Before they knew of that, the creator has taken away from our user what it takes to remove anybody.
      const powerLevels = { type: "m.room.power_levels", state_key: "", content: { users: {} } };
      await shared.receive(creator, powerLevels);
      expect(await isServerIn(hs1.hs, shared.room.roomKey, one.name)).toBe(true);
      const heard = history_visibility === "shared" ? [`${prefix} 2`] : [];
      await expect.poll(() => taking(one, prefix), WAIT).toEqual(heard);
      await shared.say(`${prefix} 3`);
      await expect.poll(() => taking(one, prefix), WAIT).toEqual([...heard, `${prefix} 3`]);
    }
  });

  test("an invitation that is taken back is told to the server of the invited", async () => {
    const shared = await sharedRoom(hs1.hs, [two.name]);
    const user: UserId = `@invited:${one.name}`;
    await shared.setMember(user, "invite");
    await shared.say("uninvited");
    await shared.setMember(user, "leave");
    await shared.say("uninvited");
    const told = () =>
      one.taken
        .flatMap((it) => it.body.pdus)
        .filter((it) => it["room_id"] === shared.room.roomId)
        .map((it) => [it["type"], it["state_key"], it.content["membership"]]);
    await expect.poll(told, WAIT).toEqual([["m.room.member", user, "leave"]]);
  });

  test("invitations that are taken back at once are told each, and nothing that is said meanwhile", async () => {
    const shared = await sharedRoom(hs1.hs, [two.name, one.name]);
    const [, member = "@a:b"] = shared.members;
    const users = ["a", "b", "c"].map((it): UserId => `@${it}:${one.name}`);
    const takeBack = async (its: readonly UserId[]) => {
      for (const user of users) await shared.setMember(user, "invite");
      await shared.say("two waits for this");
      await Promise.all([
        ...its.map(async (it) => await shared.setMember(it, "leave")),
        shared.say("at once"),
        ...users.map(async (it) => await shared.setMember(it, "leave")),
      ]);
    };
    const told = () =>
      one.taken
        .flatMap((it) => it.body.pdus)
        .filter((it) => it["room_id"] === shared.room.roomId)
        .filter((it) => it.content["membership"] === "leave")
        .map((it) => it["state_key"]);
    // The server's last user goes at the same time; and then it is not in the room any more.
    await takeBack([member]);
    await expect.poll(told, WAIT).toEqual([member, ...users]);
    await takeBack([]);
    await expect.poll(told, WAIT).toEqual([member, ...users, ...users]);
    expect(taking(one, "at once")).toEqual([]);
  });
});
