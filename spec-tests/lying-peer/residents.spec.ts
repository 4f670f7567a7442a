import type { ServerResponse } from "node:http";
import { gzipSync } from "node:zlib";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { z } from "zod";
import { RemoteRoom } from "#src/rooms/received/testing.ts";
import { isOutside } from "../homeserver-under-test.ts";
import type { WirePdu } from "../server-server/server-answers.ts";
import type { LiarAnswer } from "./liar.ts";
import { honestAnswers, openSiege, type Siege } from "./siege.ts";

const MEGABYTE = 1024 * 1024;

/** What the liar is asked when somebody of its own is invited. */
const Invitation = z.object({ event: z.record(z.string(), z.unknown()) });

/** How long answers of other servers are waited for here, and the most that anybody waits for one while they lie. */
const TIMEOUT_MS = 4_000;
const LONGEST_MS = 30_000;

/** How much more memory a server may need while it is lied to, in MiB. */
const MOST_MORE_MIB = 500;

let siege: Siege;
let rooms = 0;

type Honest = ReturnType<typeof honestAnswers>;
type Lies = {
  /** In place of the honest answers. */
  readonly makeJoin?: (honest: Honest) => LiarAnswer;
  readonly sendJoin?: (honest: Honest, event: unknown) => LiarAnswer;
  readonly version?: string;
  readonly verb?: "join" | "knock";
};

/** Has the victim join, or knock on, a room of which the liar says it is in it. */
async function enter({ makeJoin, sendJoin, version = "12", verb = "join" }: Lies) {
  const { liar, victim } = siege;
  const remote = new RemoteRoom(version, `lies${rooms++}`);
  if (remote.roomId !== undefined) remote.roomId = `!lies${rooms}:${liar.name}`;
  const last = remote.begin(liar.user("creator"));
  const honest = honestAnswers({ liar, victim, remote, last });
  liar.answer(({ path, body }) => {
    const isFirst = /\/make_(join|knock)\//.test(path);
    if (isFirst) return makeJoin?.(honest) ?? { json: honest.makeJoin() };
    if (!/\/send_(join|knock)\//.test(path)) return undefined;
    return sendJoin?.(honest, body) ?? { json: honest.sendJoin(body) };
  });
  const roomId = encodeURIComponent(remote.roomId ?? "");
  const begun = performance.now();
  const answer = await victim.call("POST", `/v3/${verb}/${roomId}?via=${liar.name}`, {});
  const took = performance.now() - begun;
  liar.answer(() => undefined);
  return { ...answer, roomId: remote.roomId ?? "", took };
}

/** What came of a lie, if all is well: the victim was told no, in time, and nothing stays of it. */
const REFUSED = { isRefused: true, isInTime: true, isJoined: false, state: 403 };

/** Has the victim try to come in. @returns what came of it; see `REFUSED` */
async function outcomeOf(lies: Lies): Promise<typeof REFUSED> {
  const { status, body, roomId, took } = await enter(lies);
  const { body: joined } = await siege.victim.call("GET", "/v3/joined_rooms");
  const state = await siege.victim.call("GET", `/v3/rooms/${encodeURIComponent(roomId)}/state`);
  return {
    // That the other server is of no use is said with 502, as of any gateway.
    isRefused: [400, 403, 404, 502].includes(status) && body.errcode?.startsWith("M_") === true,
    isInTime: took < LONGEST_MS,
    isJoined: joined.joined_rooms.includes(roomId),
    state: state.status,
  };
}

/** Writes the same again and again, as fast as it is taken. */
function pour(response: ServerResponse, chunk: string | Buffer): void {
  const write = () => {
    while (!response.destroyed) if (!response.write(chunk)) return;
  };
  response.on("drain", write);
  response.on("error", () => {});
  write();
}

/** Writes a little now and then. */
function trickle(response: ServerResponse, begin: string): void {
  response.write(begin);
  const timer = setInterval(() => response.write(" "), 100);
  response.on("close", () => clearInterval(timer));
  response.on("error", () => {});
}

describe.skipIf(isOutside)("a server that lies to those who come into its rooms", () => {
  beforeAll(async () => {
    siege = await openSiege({ ARCHIPEL_FEDERATION_REQUEST_TIMEOUT_MS: String(TIMEOUT_MS) });
  }, 60_000);
  afterAll(async () => await siege?.close());

  test("is believed while it does not lie", async () => {
    const { status, roomId } = await enter({});
    expect(status).toBe(200);
    const { body } = await siege.victim.call("GET", "/v3/joined_rooms");
    expect(body.joined_rooms).toContain(roomId);
  });

  const withEvent = (change: object) => (honest: Honest) => {
    const template = honest.makeJoin();
    return { json: { ...template, event: { ...template.event, ...change } } };
  };

  test.each<[string, Lies["makeJoin"]]>([
    ["of another room", withEvent({ room_id: "!other:room.test" })],
    ["of another user", withEvent({ sender: "@other:user.test", state_key: "@other:user.test" })],
    ["of another type", withEvent({ type: "m.room.power_levels", state_key: "" })],
    ["that bans", withEvent({ content: { membership: "ban" } })],
    ["of no room version", (it) => ({ json: { ...it.makeJoin(), room_version: "lies" } })],
    ["of another room version", (it) => ({ json: { ...it.makeJoin(), room_version: "1" } })],
    [
      "with very many events before it",
      withEvent({ prev_events: Array.from({ length: 200_000 }, (_, n) => `$${n}`) }),
    ],
    ["with endless depth", withEvent({ depth: 1e300 })],
    ["that is none", () => ({ json: null })],
    ["that is a list", () => ({ json: [] })],
    ["that is an error of ours", () => ({ json: { errcode: "M_UNKNOWN" }, status: 500 })],
    ["that is a refusal", () => ({ json: { errcode: "M_FORBIDDEN", error: "No" }, status: 403 })],
  ])("cannot have a user sign a proposal %s", async (_name, makeJoin) => {
    expect(await outcomeOf({ ...(makeJoin && { makeJoin }) })).toEqual(REFUSED);
  });

  test.each<[string, (response: ServerResponse) => void]>([
    ["has no end", (it) => pour(it, Buffer.alloc(MEGABYTE, "[1,"))],
    ["comes by drops", (it) => trickle(it, '{"room_version":"12",')],
    [
      "is zipped",
      (it) => {
        it.setHeader("content-encoding", "gzip");
        it.end(gzipSync(Buffer.alloc(200 * MEGABYTE, " ")));
      },
    ],
    [
      "breaks off",
      (it) => {
        it.setHeader("content-length", 1_000);
        it.write("{");
        it.destroy();
      },
    ],
    [
      "is elsewhere",
      (it) => {
        it.writeHead(302, { location: "http://169.254.169.254/latest/meta-data" });
        it.end();
      },
    ],
    [
      "is elsewhere and elsewhere",
      (it) => {
        it.writeHead(307, {
          location: `https://${siege.liar.name}/_matrix/federation/v1/make_join/x/y`,
        });
        it.end();
      },
    ],
  ])(
    "is not waited for, and costs no memory, if its answer %s",
    async (_name, byHand) => {
      const before = siege.memory();
      let most = before;
      const watch = setInterval(() => (most = Math.max(most, siege.memory())), 50);
      expect(await outcomeOf({ makeJoin: () => ({ byHand }) })).toEqual(REFUSED);
      expect(await outcomeOf({ sendJoin: () => ({ byHand }) })).toEqual(REFUSED);
      clearInterval(watch);
      expect(most - before).toBeLessThan(MOST_MORE_MIB);
    },
    60_000,
  );

  test("is not waited for if it does not answer at all", async () => {
    expect(await outcomeOf({ sendJoin: () => ({ byHand: () => undefined }) })).toEqual(REFUSED);
  }, 60_000);

  const withState = (change: (state: readonly WirePdu[]) => readonly WirePdu[]) => {
    return (honest: Honest, event: unknown) => {
      const answer = honest.sendJoin(event);
      return { json: { ...answer, state: change(answer.state) } };
    };
  };

  test.each<[string, NonNullable<Lies["sendJoin"]>]>([
    ["is none", withState(() => [])],
    ["lacks the creation", withState((it) => it.filter(({ type }) => type !== "m.room.create"))],
    ["is not signed", withState((it) => it.map((event) => ({ ...event, signatures: {} })))],
    ["is of another room", withState((it) => it.map((event) => ({ ...event, room_id: "!x:y" })))],
    ["is no list", (it, event) => ({ json: { ...it.sendJoin(event), state: { 0: {} } } })],
    ["has no chain", (it, event) => ({ json: { ...it.sendJoin(event), auth_chain: null } })],
  ])("brings nobody into a room whose state %s", async (_name, sendJoin) => {
    expect(await outcomeOf({ sendJoin })).toEqual(REFUSED);
  });

  test.each<[string, NonNullable<Lies["sendJoin"]>]>([
    [
      "has one thing twice",
      withState((it) => [...it, ...it.map((event) => ({ ...event, content: {} }))]),
    ],
    ["comes with another join", (it) => ({ json: it.sendJoin({ type: "m.room.member" }) })],
  ])("is heard as far as it tells the truth, if the state %s", async (_name, sendJoin) => {
    expect((await enter({ sendJoin })).status).toBeLessThan(503);
  });

  test("cannot make a server swallow hundreds of megabytes as a room's state", async () => {
    const before = siege.memory();
    let most = before;
    const watch = setInterval(() => (most = Math.max(most, siege.memory())), 50);
    const lie = JSON.stringify({
      type: "m.lie",
      state_key: "x",
      content: { body: "x".repeat(60_000) },
    });
    const large = (response: ServerResponse) => {
      response.on("error", () => {});
      response.write('{"auth_chain":[],"members_omitted":false,"event":{},"state":[');
      pour(response, `${lie},`.repeat(16));
    };
    expect(await outcomeOf({ sendJoin: () => ({ byHand: large }) })).toEqual(REFUSED);
    clearInterval(watch);
    expect(most - before).toBeLessThan(MOST_MORE_MIB);
  }, 60_000);

  test("cannot make a knock more than a knock", async () => {
    const lies = [
      { makeJoin: withEvent({ content: { membership: "join" } }) },
      { sendJoin: () => ({ json: { knock_room_state: "all" } }) },
      { sendJoin: () => ({ byHand: (it: ServerResponse) => pour(it, "[") }) },
    ];
    for (const lie of lies) expect(await outcomeOf({ ...lie, verb: "knock" })).toEqual(REFUSED);
  }, 60_000);

  test("cannot put another event in the place of an invitation", async () => {
    const { liar, victim } = siege;
    const roomId = await victim.createRoom();
    const path = `/v3/rooms/${encodeURIComponent(roomId)}/invite`;
    const invite = async (json: (event: Record<string, unknown>) => unknown) => {
      liar.answer(({ body }) => ({ json: json(Invitation.parse(body).event) }));
      const { status } = await victim.call("POST", path, { user_id: liar.user(`guest${rooms++}`) });
      liar.answer(() => undefined);
      return status;
    };
    expect(await invite(() => ({}))).toBe(502);
    expect(
      await invite((event) => ({ event: { ...event, content: { membership: "join" } } })),
    ).toBe(502);
    expect(await invite((event) => ({ event: { ...event, signatures: {} } }))).toBe(502);
    expect(await invite((event) => ({ event }))).toBe(502);
    const members = await victim.call("GET", `/v3/rooms/${encodeURIComponent(roomId)}/members`);
    expect(members.body.chunk.map((it: { state_key: string }) => it.state_key)).toEqual([
      victim.userId,
    ]);
  });
});
