import { beforeAll, describe, expect, test } from "vitest";
import { joinedRoom } from "../answers.ts";
import { lacksPair, sharedPair } from "./pair.ts";
import {
  E,
  eventually,
  expectRefusal,
  type Person,
  personAt,
  textsOf,
  WITH_TIME,
} from "./person.ts";

describe.skipIf(await lacksPair()).each(["ours", "synapse"] as const)(
  "in a room of %s",
  { timeout: WITH_TIME },
  (there) => {
    let owner: Person;
    let guest: Person;
    let roomId: string;

    beforeAll(async () => {
      const pair = await sharedPair();
      [owner, guest] = await Promise.all([
        personAt(pair[there], "owner"),
        personAt(pair[there === "ours" ? "synapse" : "ours"], "guest"),
      ]);
      roomId = await owner.createRoom({ preset: "public_chat", name: "Quay" });
      await guest.join(roomId, owner.home);
      await eventually(async () => await owner.membershipOf(guest, roomId), "join");
    }, WITH_TIME);

    const event = async (person: Person, eventId: string) => {
      const path = `/v3/rooms/${E(roomId)}/event/${E(eventId)}`;
      return (await person.call("GET", path)).body;
    };
    const bothWays = () =>
      [
        [owner, guest],
        [guest, owner],
      ] as const;
    const comesTo = async (person: Person, eventId: string) =>
      await eventually(async () => (await event(person, eventId)).event_id, eventId);

    test("both see the same messages in the same order", async () => {
      for (let index = 0; index < 10; index++) {
        for (const [from, to] of bothWays()) {
          await comesTo(to, await from.say(roomId, `${index} of ${from.localpart}`));
        }
      }
      const [ofOwner, ofGuest] = [await owner.all(roomId), await guest.all(roomId)];
      expect(textsOf(ofOwner)).toHaveLength(20);
      expect(ofGuest.map((it) => it.event_id)).toEqual(ofOwner.map((it) => it.event_id));
    });

    test("what both say at once comes to both", async () => {
      const sent = await Promise.all(
        [owner, guest].flatMap((from) =>
          Array.from(
            { length: 10 },
            async (_, index) => await from.say(roomId, `at once ${index}`),
          ),
        ),
      );
      for (const person of [owner, guest]) {
        await eventually(async () => {
          const ids = (await person.newest(roomId, 100)).map((it) => it.event_id);
          return sent.filter((id) => !ids.includes(id));
        }, []);
      }
    });

    test("edits, reactions and redactions go over", async () => {
      for (const [from, to] of bothWays()) {
        const eventId = await from.say(roomId, "teh ship");
        await comesTo(to, eventId);
        const content = { msgtype: "m.text", body: "the ship" };
        await from.send(roomId, "m.room.message", {
          ...content,
          body: "* the ship",
          "m.new_content": content,
          "m.relates_to": { rel_type: "m.replace", event_id: eventId },
        });
        await eventually(async () => {
          const edits = (await to.newest(roomId)).map((it) => it.content["m.new_content"]?.body);
          return edits.includes("the ship");
        }, true);

        const annotation = { rel_type: "m.annotation", event_id: eventId, key: "⚓" };
        const reaction = await to.send(roomId, "m.reaction", { "m.relates_to": annotation });
        const relates = async () => (await event(from, reaction)).content?.["m.relates_to"];
        await eventually(relates, annotation);
        await to.redact(roomId, reaction);
        await eventually(relates, undefined);

        await from.redact(roomId, eventId, "wrong room");
        await eventually(async () => {
          const { content: left, unsigned } = await event(to, eventId);
          return [left, unsigned.redacted_because?.content.reason];
        }, [{}, "wrong room"]);
      }
    });

    test("receipts and typing go over", async () => {
      for (const [from, to] of bothWays()) {
        const eventId = await to.say(roomId, "read me");
        await comesTo(from, eventId);
        const at = `/v3/rooms/${E(roomId)}`;
        await from.does("POST", `${at}/receipt/m.read/${E(eventId)}`, {});
        await from.does("PUT", `${at}/typing/${E(from.userId)}`, { typing: true, timeout: 30_000 });
        const seen = new Set<string>();
        await to.syncUntil(({ rooms }) => {
          for (const { type, content } of rooms?.join?.[roomId]?.ephemeral?.events ?? []) {
            if (type === "m.receipt") Object.keys(content).forEach((id) => seen.add(id));
            if (type === "m.typing") content.user_ids?.forEach((id) => seen.add(id));
          }
          return seen.has(eventId) && seen.has(from.userId);
        });
        await from.does("PUT", `${at}/typing/${E(from.userId)}`, { typing: false });
        await eventually(async () => {
          const { ephemeral } = joinedRoom(await to.does("GET", "/v3/sync"), roomId);
          return ephemeral.events.flatMap((it) => it.content.user_ids ?? []);
        }, []);
      }
    });

    test("presence goes over", async () => {
      for (const [from, to] of bothWays()) {
        const status_msg = `here since ${Date.now()}`;
        const path = `/v3/presence/${E(from.userId)}/status`;
        await from.does("PUT", path, { presence: "online", status_msg });
        await eventually(async () => {
          const { presence } = await to.does("GET", "/v3/sync");
          const its = (presence?.events ?? []).filter((it) => it.sender === from.userId);
          return its.map(({ content }) => [content["presence"], content["status_msg"]]);
        }, [["online", status_msg]]);
      }
    });

    test("profiles can be seen over there, and their changes are seen in rooms", async () => {
      for (const [from, to] of bothWays()) {
        const path = `/v3/profile/${E(from.userId)}`;
        const displayname = `Captain ${Date.now()}`;
        await from.does("PUT", `${path}/displayname`, { displayname });
        await eventually(
          async () => (await to.stateOf(roomId, "m.room.member", from.userId)).displayname,
          displayname,
        );
        expect((await to.call("GET", `${path}/displayname`)).body).toEqual({ displayname });
        const nobody = `@nobody-${Date.now()}:${from.home.serverName}`;
        expect(await to.call("GET", `/v3/profile/${E(nobody)}`)).toMatchObject({
          status: 404,
          body: { errcode: "M_NOT_FOUND" },
        });
      }
    });

    test("state that the guest may set is set for both", async () => {
      await owner.setState(roomId, "m.room.topic", { topic: "Ships" });
      await eventually(async () => (await guest.stateOf(roomId, "m.room.topic")).topic, "Ships");
      const levels = await owner.stateOf(roomId, "m.room.power_levels");
      const users = { ...levels.users, [guest.userId]: 50 };
      expectRefusal(
        await guest.call("PUT", `/v3/rooms/${E(roomId)}/state/m.room.topic/`, { topic: "Mine" }),
        "M_FORBIDDEN",
      );
      await owner.setState(roomId, "m.room.power_levels", { ...levels, users });
      await eventually(
        async () => (await guest.stateOf(roomId, "m.room.power_levels")).users[guest.userId],
        50,
      );
      await guest.setState(roomId, "m.room.topic", { topic: "Boats" });
      await eventually(async () => (await owner.stateOf(roomId, "m.room.topic")).topic, "Boats");
    });

    test("guests of the guest's server come and go without asking the owner's", async () => {
      const second = await personAt(guest.home, "second");
      await second.join(roomId);
      await eventually(async () => await owner.membershipOf(second, roomId), "join");
      await comesTo(owner, await second.say(roomId, "here too"));
      await second.leave(roomId);
      await eventually(async () => await owner.membershipOf(second, roomId), "leave");
    });
  },
);
