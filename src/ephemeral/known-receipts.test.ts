import { afterAll, describe, expect, test } from "vitest";
import { asking, LENIENT, registered } from "#src/testing-http.ts";
import { testHomeservers } from "#src/testing.ts";
import { joinedRoom } from "../../spec-tests/answers.ts";

const homes = await testHomeservers(1, LENIENT);
const ask = asking(homes.hs);
afterAll(async () => await homes.close());

const SLIDING = "/_matrix/client/unstable/org.matrix.simplified_msc3575/sync";

let count = 0;

/** A room in which Alice has said and read something before Bob came. */
async function roomBefore(history_visibility: string) {
  const alice = { token: (await registered(ask, `alice-${++count}`)).access_token };
  const bob = { token: (await registered(ask, `bob-${count}`)).access_token };
  const visibility = { type: "m.room.history_visibility", content: { history_visibility } };
  const body = { preset: "public_chat", initial_state: [visibility] };
  const roomId: string = (await ask("POST", "createRoom", { ...alice, body })).body.room_id;
  const say = async (by: { token: string }, content: object) => {
    const path = `rooms/${roomId}/send/m.room.message/${++count}`;
    const said = { msgtype: "m.text", body: "words", ...content };
    return await ask("PUT", path, { ...by, body: said });
  };
  const before: string = (await say(alice, {})).body.event_id;
  const read = async (by: { token: string }, eventId: string, type = "m.read") =>
    await ask("POST", `rooms/${roomId}/receipt/${type}/${eventId}`, { ...by, body: {} });
  await read(alice, before);
  await ask("POST", `join/${roomId}`, { ...bob, body: {} });
  return { alice, bob, roomId, before, say, read };
}

/** Of which events somebody is told that they have been read. */
async function receiptsTo(reader: { token: string }, roomId: string): Promise<string[]> {
  const { ephemeral } = joinedRoom((await ask("GET", "sync", reader)).body, roomId);
  return ephemeral.events.flatMap((it) => Object.keys(it.content));
}

describe("of an event that was said before they came", () => {
  test("those are told that it is there who may know", async () => {
    const { bob, roomId, before, read } = await roomBefore("shared");
    expect(await receiptsTo(bob, roomId)).toEqual([before]);
    expect((await read(bob, before)).status).toBe(200);
  });

  test("nobody else is told, neither by others' receipts nor by their own", async () => {
    const { alice, bob, roomId, before, say, read } = await roomBefore("joined");
    expect(await receiptsTo(alice, roomId)).toEqual([before]);
    expect(await receiptsTo(bob, roomId)).toEqual([]);
    const body = {
      lists: { all: { ranges: [[0, 9]], timeline_limit: 9, required_state: [] } },
      extensions: { receipts: { enabled: true } },
    };
    const slid = (await ask("POST", SLIDING, { ...bob, body })).body;
    expect(JSON.stringify(slid)).not.toContain(before);
    for (const type of ["m.read", "m.read.private", "m.fully_read"]) {
      expect(await read(bob, before, type)).toMatchObject({
        status: 404,
        body: { errcode: "M_NOT_FOUND" },
      });
    }
    // What is said from then on is for all.
    const after = (await say(alice, {})).body.event_id;
    expect((await read(bob, after)).status).toBe(200);
    await read(alice, after);
    expect(await receiptsTo(bob, roomId)).toEqual([after]);
  });
});

test("who says that a thread begins elsewhere is not told what is there", async () => {
  const elsewhere = await roomBefore("joined");
  const relation = { rel_type: "m.reference", event_id: elsewhere.before };
  const related = await elsewhere.say(elsewhere.alice, { "m.relates_to": relation });
  const { bob, say } = await roomBefore("shared");
  const thread = (event_id: string) => ({ "m.relates_to": { rel_type: "m.thread", event_id } });
  const [there, nowhere] = [
    await say(bob, thread(related.body.event_id)),
    await say(bob, thread("$nothing")),
  ];
  expect(there.status).toBe(nowhere.status);
});
