import { describe, expect, test } from "vitest";
import { homeserver, refusal } from "./client.ts";
import { ids, react, read, redact, refer, relating, reply, roomOf, text } from "./relating.ts";

const hs = await homeserver();
const alice = await hs.registerUser("alice");
const bob = await hs.registerUser("bob");
const mallory = await hs.registerUser("mallory");

const newRoom = async () => await roomOf(alice, bob);

/** @spec client-server-api#get_matrixclientv1roomsroomidrelationseventid */
describe("getRelatingEvents", () => {
  test("answers with what relates to an event, newest first, or oldest", async () => {
    const roomId = await newRoom();
    const root = await alice.sendText(roomId, "root");
    const sent = [
      await react(bob, roomId, root, "👍"),
      await refer(alice, roomId, root),
      await reply(bob, roomId, root, "in a thread"),
    ];
    await bob.send(roomId, "m.room.message", {
      ...text("a reply is none"),
      "m.relates_to": { "m.in_reply_to": { event_id: root } },
    });
    const { status, body } = await read(bob, roomId, root);
    expect(status).toBe(200);
    expect(ids(body)).toEqual(sent.toReversed());
    expect(body).not.toHaveProperty("next_batch");
    expect(body).not.toHaveProperty("recursion_depth");
    expect(ids((await read(bob, roomId, `${root}?dir=f`)).body)).toEqual(sent);
    expect(ids((await read(bob, roomId, `${root}?from=&to=`)).body)).toEqual(sent.toReversed());
    expect((await read(bob, roomId, sent[0] ?? "")).body.chunk).toEqual([]);
  });

  test("pages both ways, and takes the tokens of sync and messages", async () => {
    const roomId = await newRoom();
    const root = await alice.sendText(roomId, "root");
    const sent: string[] = [];
    for (let index = 0; index < 5; index++) sent.push(await refer(bob, roomId, root));
    for (const dir of ["b", "f"]) {
      const found: string[] = [];
      let from = "";
      do {
        const { body } = await read(bob, roomId, `${root}?limit=2&dir=${dir}${from}`);
        expect(body.prev_batch !== undefined).toBe(from !== "");
        found.push(...ids(body));
        from = body.next_batch === undefined ? "" : `&from=${body.next_batch}`;
      } while (from !== "" && found.length < 20);
      expect(found).toEqual(dir === "f" ? sent : sent.toReversed());
    }
    const { next_batch } = await bob.sync();
    const later = await refer(alice, roomId, root);
    expect(ids((await read(bob, roomId, `${root}?from=${next_batch}&limit=9`)).body)).toEqual(
      sent.toReversed(),
    );
    expect(ids((await read(bob, roomId, `${root}?to=${next_batch}`)).body)).toEqual([later]);
    expect(ids((await read(bob, roomId, `${root}?dir=f&from=${next_batch}`)).body)).toEqual([
      later,
    ]);
    const page = await bob.call("GET", `/v3/rooms/${roomId}/messages?dir=b&limit=3`);
    expect(ids((await read(bob, roomId, `${root}?from=${page.body.end}&limit=2`)).body)).toEqual([
      sent[2],
      sent[1],
    ]);
  });

  test("follows relations of relations, if asked to", async () => {
    const roomId = await newRoom();
    const root = await alice.sendText(roomId, "root");
    const first = await refer(bob, roomId, root);
    const second = await refer(alice, roomId, first);
    const third = await react(bob, roomId, second, "👍");
    const { body } = await read(bob, roomId, `${root}?recurse=true`);
    expect(ids(body)).toEqual([third, second, first]);
    expect(body.recursion_depth).toBeGreaterThanOrEqual(3);
    expect(ids((await read(bob, roomId, `${root}?recurse=false`)).body)).toEqual([first]);
    expect(ids((await read(bob, roomId, `${root}/m.annotation?recurse=true`)).body)).toEqual([
      third,
    ]);
  });

  test("leaves out what was redacted, and whom one ignores", async () => {
    const roomId = await newRoom();
    const root = await alice.sendText(roomId, "root");
    const [gone, ofBob, own] = [
      await refer(alice, roomId, root),
      await refer(bob, roomId, root),
      await refer(alice, roomId, root),
    ];
    await redact(alice, roomId, gone);
    expect(ids((await read(alice, roomId, root)).body)).toEqual([own, ofBob]);
    const list = `/v3/user/${alice.userId}/account_data/m.ignored_user_list`;
    await alice.call("PUT", list, { ignored_users: { [bob.userId]: {} } });
    expect(ids((await read(alice, roomId, root)).body)).toEqual([own]);
    const { body } = await alice.call("GET", `/v3/rooms/${roomId}/event/${root}`);
    expect(body.unsigned["m.relations"]?.["m.reference"]?.chunk).toEqual([{ event_id: own }]);
    await alice.call("PUT", list, { ignored_users: {} });
  });

  test("tells nobody of an event that they may not see", async () => {
    const roomId = await newRoom();
    const root = await alice.sendText(roomId, "root");
    await refer(bob, roomId, root);
    const notFound = refusal(404, "M_NOT_FOUND");
    expect(await read(mallory, roomId, root)).toMatchObject(notFound);
    expect(await read(alice, roomId, "$nothing")).toMatchObject(notFound);
    const other = await newRoom();
    expect(await read(alice, other, root)).toMatchObject(notFound);
    await bob.call("POST", `/v3/rooms/${roomId}/leave`, {});
    const after = await refer(alice, roomId, root);
    expect(ids((await read(bob, roomId, root)).body)).not.toContain(after);
  });

  test("refuses what cannot be meant", async () => {
    const roomId = await newRoom();
    const root = await alice.sendText(roomId, "root");
    for (const query of [
      "dir=x",
      "limit=0",
      "limit=-1",
      "limit=x",
      "from=x",
      "to=x",
      "recurse=1",
    ]) {
      const answer = await read(alice, roomId, `${root}?${query}`);
      expect(answer, query).toMatchObject(refusal(400, "M_INVALID_PARAM"));
    }
  });
});

/** @spec client-server-api#get_matrixclientv1roomsroomidrelationseventidreltype */
describe("getRelatingEventsWithRelType", () => {
  test("answers with what relates in one way", async () => {
    const roomId = await newRoom();
    const root = await alice.sendText(roomId, "root");
    const reaction = await react(bob, roomId, root, "👍");
    await refer(bob, roomId, root);
    expect(ids((await read(alice, roomId, `${root}/m.annotation`)).body)).toEqual([reaction]);
    expect((await read(alice, roomId, `${root}/org.example.other`)).body.chunk).toEqual([]);
  });
});

/** @spec client-server-api#get_matrixclientv1roomsroomidrelationseventidreltypeeventtype */
describe("getRelatingEventsWithRelTypeAndEventType", () => {
  test("answers with those of one type", async () => {
    const roomId = await newRoom();
    const root = await alice.sendText(roomId, "root");
    const message = await reply(bob, roomId, root, "said");
    await bob.send(roomId, "m.sticker", {
      body: "x",
      info: {},
      url: "mxc://hs.test/x",
      ...relating("m.thread", root),
    });
    const path = `${root}/m.thread/m.room.message`;
    expect(ids((await read(alice, roomId, path)).body)).toEqual([message]);
  });
});
