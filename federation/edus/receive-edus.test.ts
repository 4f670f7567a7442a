import { afterAll, describe, expect, test } from "vitest";
import type { EventId } from "#src/kit/identifiers.ts";
import { registered } from "#src/testing-http.ts";
import { sharedRoom } from "../testing.ts";
import { tellingServers } from "./testing.ts";

const { hs1, hs2, ask1, alice, bob, room, sync, send, say, close } = await tellingServers();
afterAll(close);

async function ephemeral(type: string) {
  const joined = (await sync()).rooms?.join?.[room.roomId];
  return joined?.ephemeral?.events.find((it: { type: string }) => it.type === type)?.content;
}

describe("typing", () => {
  const typing = (user_id: string, is = true, room_id: string = room.roomId) =>
    ["m.typing", { room_id, user_id, typing: is }] as [string, object];

  test("is seen in the room until it ends", async () => {
    await say(typing(bob.user_id));
    await expect.poll(() => ephemeral("m.typing")).toEqual({ user_ids: [bob.user_id] });
    await say(typing(bob.user_id), typing(bob.user_id, false));
    await expect.poll(() => ephemeral("m.typing")).toEqual({ user_ids: [] });
  });

  test("is seen again if it is said again under the same transaction ID", async () => {
    const said = (is: boolean) => {
      const [edu_type, content] = typing(bob.user_id, is);
      return [{ edu_type, content }];
    };
    for (const is of [true, false, true]) {
      await send(said(is), `made-of-contents-${is}`);
      await expect.poll(() => ephemeral("m.typing")).toEqual({ user_ids: is ? [bob.user_id] : [] });
    }
    await send(said(false));
  });

  test("is no server's to say of users of others, or of users and rooms that are not there", async () => {
    await say(typing(alice.user_id), typing(`@x:${hs2.name}`), typing(bob.user_id, true, "!x:y"));
    await say(["m.typing", { room_id: 5 }], ["m.typing", {}], ["m.unknown", {}]);
    await send([null, 5, "x", {}, { edu_type: "m.typing" }]);
    await say(typing(bob.user_id));
    await expect.poll(() => ephemeral("m.typing")).toEqual({ user_ids: [bob.user_id] });
  });
});

describe("receipts", () => {
  const receipt = (event_id: string, user_id: string = bob.user_id, data: object = { ts: 5 }) =>
    [
      "m.receipt",
      { [room.roomId]: { "m.read": { [user_id]: { event_ids: [event_id], data } } } },
    ] as [string, object];
  const text = { type: "m.room.message", content: { msgtype: "m.text", body: "x" } };

  test("are seen in the room, each at its event and in its thread", async () => {
    const [one, other] = [await room.send(bob.user_id, text), await room.send(bob.user_id, text)];
    await say(
      receipt(one),
      receipt(other, bob.user_id, { ts: 6, thread_id: "main" }),
      receipt(one, alice.user_id),
      receipt(one, bob.user_id, { ts: 7, thread_id: 5 }),
    );
    await expect
      .poll(() => ephemeral("m.receipt"))
      .toEqual({
        [one]: { "m.read": { [bob.user_id]: { ts: 5 } } },
        [other]: { "m.read": { [bob.user_id]: { ts: 6, thread_id: "main" } } },
      });
  });

  test("are as many as a server may have to say at once", async () => {
    const id = await room.send(bob.user_id, text);
    const others = (count: number) => {
      const read = { event_ids: [id], data: { ts: 5 } };
      const users = Array.from({ length: count }, (_, index) => [`@u${index}:${hs2.name}`, read]);
      return ["m.receipt", { [room.roomId]: { "m.read": Object.fromEntries(users) } }] as [
        string,
        object,
      ];
    };
    await say(others(1_000), others(1_000), receipt(id));
    await say(others(1_000), others(999), receipt(id, bob.user_id, { ts: 8, thread_id: "main" }));
    await expect
      .poll(() => ephemeral("m.receipt"))
      .toEqual({ [id]: { "m.read": { [bob.user_id]: { ts: 8, thread_id: "main" } } } });
  });

  test("wait for their events", async () => {
    const hidden = await sharedRoom([hs2.hs], [bob.user_id, `@c:${hs2.name}`]);
    const id = await hidden.send(bob.user_id, text);
    await say(receipt(id));
    // It is of another room: nobody is told.
    expect(await ephemeral("m.receipt")).toBeUndefined();
    let early: EventId | undefined;
    const sent = room.send(bob.user_id, text, async (it) => {
      early = it;
      await say(receipt(it));
    });
    await sent;
    await expect
      .poll(() => ephemeral("m.receipt"))
      .toEqual({ [early ?? ""]: { "m.read": { [bob.user_id]: { ts: 5 } } } });
  });
});

test("who is there is seen by those who share a room, and said by their own server", async () => {
  const presence = (push: unknown[]) => ["m.presence", { push }] as [string, object];
  const user_id = bob.user_id;
  await say(
    presence([
      { user_id, presence: "unavailable" },
      { user_id, presence: "online", status_msg: "hello", last_active_ago: 5_000 },
      { user_id: alice.user_id, presence: "unavailable", status_msg: "not she" },
      { user_id: `@stranger:${hs2.name}`, presence: "online" },
      { user_id, presence: "asleep" },
      null,
    ]),
    presence([]),
    ["m.presence", {}],
  );
  const events: { sender: string; content: object }[] = [];
  await expect
    .poll(
      async () => {
        events.push(...((await sync()).presence?.events ?? []));
        return events.filter((it) => it.sender === user_id);
      },
      { timeout: 20_000 },
    )
    .toMatchObject([{ content: { presence: "online", status_msg: "hello" } }]);
  expect(JSON.stringify(events)).not.toContain("not she");
  const status = await ask1("GET", `presence/${user_id}/status`, { token: alice.access_token });
  expect(status.body).toMatchObject({ presence: "online", currently_active: true });
  expect(status.body.last_active_ago).toBeGreaterThanOrEqual(5_000);
  const known = await hs1.hs.sql`select from presence where not local`;
  expect(known.count).toBe(1);
});

test("messages to devices come once, however often they are brought", async () => {
  const message = (message_id: string, sender = bob.user_id) =>
    [
      "m.direct_to_device",
      {
        sender,
        type: "x.y",
        message_id,
        messages: {
          [alice.user_id]: { [alice.device_id]: { message_id }, NONE: {} },
          [`@nobody:${hs1.name}`]: { "*": {} },
          [bob.user_id]: { "*": {} },
          nonsense: { "\0": {} },
        },
      },
    ] as [string, object];
  await say(message("1"), message("1"), message("2", alice.user_id));
  await say(message("3"), message("1"));
  const events: object[] = [];
  await expect
    .poll(async () => {
      events.push(...((await sync()).to_device?.events ?? []));
      return events;
    })
    .toEqual(
      ["1", "3"].map((message_id) => ({
        sender: bob.user_id,
        type: "x.y",
        content: { message_id },
      })),
    );
  await say(message("1"));
  expect((await sync()).to_device).toBeUndefined();
});

test("of one server only so many messages wait for a device, and none that is too long", async () => {
  const { access_token: token, device_id: deviceId } = await registered(ask1, "hoarder");
  const userId = `@hoarder:${hs1.name}`;
  const { sql } = hs1.hs;
  const message = (sender: string, message_id: string, content: object = { message_id }) =>
    [
      "m.direct_to_device",
      { sender, type: "x.y", message_id, messages: { [userId]: { [deviceId]: content, "*": {} } } },
    ] as [string, object];
  await say(message(bob.user_id, "long", { text: "x".repeat(70_000) }));
  await say(message(bob.user_id, "first"));
  const waiting = async () => {
    const rows = await sql<{ content: string }[]>`
      select content from to_device join devices using (device_key) join users on users.user_key = devices.user_key
      where user_id = ${userId} order by position, part`;
    return rows.map((it) => it.content);
  };
  const before = ["{}", '{"message_id":"first"}', "{}"];
  expect(await waiting()).toEqual(before);

  // As if the device had been away for long, and told of much.
  await sql`
    insert into to_device (device_key, position, part, sender_key, type, content)
    select device_key, position, part + n, sender_key, type, content
    from (select * from to_device join devices using (device_key) join users on users.user_key = devices.user_key
      where users.user_id = ${userId} limit 1) as one, generate_series(10, 10008) as n`;
  await say(message(bob.user_id, "late"));
  expect(await waiting()).toHaveLength(before.length + 9_999);
  const path = `sendToDevice/x.y/t1`;
  const body = { messages: { [userId]: { [deviceId]: { of: "ours" } } } };
  await ask1("PUT", path, { token, body });
  expect((await waiting()).at(-1)).toBe('{"of":"ours"}');
});

test("what users do is not heard of in rooms that deny their server", async () => {
  const denying = await sharedRoom([hs1.hs], [bob.user_id, alice.user_id]);
  await denying.send(bob.user_id, {
    type: "m.room.server_acl",
    state_key: "",
    content: { allow: ["*"], deny: ["hs2.*"] },
  });
  const event_id = await denying.send(bob.user_id, { type: "m.room.message", content: {} });
  const read = { "m.read": { [bob.user_id]: { event_ids: [event_id], data: { ts: 5 } } } };
  await say(
    ["m.typing", { room_id: denying.roomId, user_id: bob.user_id, typing: true }],
    ["m.receipt", { [denying.roomId]: read }],
  );
  const { typing, receipts } = (
    await hs1.hs.sql`
      select (select count(*) from typing where typing.room_key = rooms.room_key) as typing,
        (select count(*) from receipts where receipts.room_key = rooms.room_key) as receipts
      from rooms where room_id = ${denying.roomId}`
  )[0] as { typing: number; receipts: number };
  expect({ typing, receipts }).toEqual({ typing: 0, receipts: 0 });
});
