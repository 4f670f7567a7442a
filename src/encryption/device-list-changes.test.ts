import fc from "fast-check";
import { afterAll, expect, test } from "vitest";
import { createDevice } from "#src/devices/create-device.ts";
import { renameDevice } from "#src/devices/list-devices.ts";
import type { Homeserver } from "#src/homeserver/homeserver.ts";
import type { RoomId, UserId } from "#src/kit/identifiers.ts";
import type { Requester } from "#src/kit/requester.ts";
import { present } from "#src/kit/testing.ts";
import { inviteUser, leaveRoom } from "#src/membership/change-members.ts";
import { createRoom } from "#src/membership/create-room.ts";
import { joinRoom } from "#src/membership/join-room.ts";
import { findRoom } from "#src/rooms/find-room.ts";
import { sendEvent } from "#src/rooms/send-event.ts";
import { tailOf } from "#src/streams/tail.ts";
import { testHomeservers } from "#src/testing.ts";
import { changedDeviceLists } from "./device-list-changes.ts";
import { deviceListsSection } from "./sync-section.ts";
import { testDevice } from "./testing.ts";

const homeservers = await testHomeservers(2);
const [one, two] = homeservers.all as [Homeserver, Homeserver];
afterAll(async () => await homeservers.close());

const USERS = [0, 1, 2, 3] as const;
const ROOMS = [0, 1] as const;

type Act = "join" | "leave" | "rename" | "device";
type Step = { readonly user: number; readonly room: number; readonly act: Act } | "sync";

const step: fc.Arbitrary<Step> = fc.oneof(
  {
    weight: 4,
    arbitrary: fc.record({
      user: fc.constantFrom(...USERS),
      room: fc.constantFrom(...ROOMS),
      act: fc.constantFrom<Act>("join", "leave", "rename", "device"),
    }),
  },
  { weight: 1, arbitrary: fc.constant("sync" as const) },
);

/** Who is in which room, and who has done what since the first user last asked. */
class Model {
  joined = new Set<string>();
  before = new Set<string>();
  moved = new Set<string>();
  lists = new Set<number>();

  #share(joined: ReadonlySet<string>, user: number): boolean {
    return ROOMS.some((room) => joined.has(`0 ${room}`) && joined.has(`${user} ${room}`));
  }

  /** Those who must be told of, and those who may be, since they or the one who asks came and went. */
  expected() {
    const others = USERS.filter((it) => it !== 0);
    const own = this.lists.has(0) ? [0] : [];
    // The one who asks is like everybody else, and hears of own changes in any case.
    const now = USERS.filter((it) => !own.includes(it) && this.#share(this.joined, it));
    const hasMoved = (user: number) =>
      ROOMS.some((room) => this.moved.has(`${user} ${room}`) || this.moved.has(`0 ${room}`));
    const isNew = (it: number) => this.lists.has(it) || !this.#share(this.before, it);
    return {
      changed: [...own, ...now.filter(isNew)],
      mayBeChanged: [...own, ...now.filter((it) => isNew(it) || hasMoved(it))],
      left: others.filter((it) => this.#share(this.before, it) && !this.#share(this.joined, it)),
    };
  }

  synced(): void {
    this.before = new Set(this.joined);
    this.moved.clear();
    this.lists.clear();
  }
}

class World {
  readonly model = new Model();
  readonly users: Requester[] = [];
  readonly rooms: RoomId[] = [];
  #names = 0;

  static async make(tag: string): Promise<World> {
    const world = new World();
    for (const it of USERS) world.users.push(await testDevice(one, `${tag}u${it}`));
    const host = await testDevice(one, `${tag}host`);
    for (const _ of ROOMS) {
      world.rooms.push(await createRoom(one, host, { preset: "public_chat" }));
    }
    return world;
  }

  async act({ user, room, act }: Exclude<Step, "sync">): Promise<void> {
    const requester = present(this.users[user]);
    const roomId = present(this.rooms[room]);
    const place = `${user} ${room}`;
    const isIn = this.model.joined.has(place);
    if (act === "device") {
      const displayName = `Name ${this.#names++}`;
      await renameDevice(one, requester, { deviceId: requester.deviceId, displayName });
      this.model.lists.add(user);
    } else if (act === "join" && !isIn) {
      await joinRoom(one, requester, roomId, {});
      this.model.joined.add(place);
      this.model.moved.add(place);
    } else if (act === "leave" && isIn) {
      await leaveRoom(one, requester, { roomId, reason: undefined });
      this.model.joined.delete(place);
      this.model.moved.add(place);
    } else if (act === "rename" && isIn) {
      const content = { membership: "join", displayname: `Name ${this.#names++}` };
      const draft = { type: "m.room.member", state_key: requester.userId, content };
      const found = present(await findRoom(one, roomId));
      await sendEvent(one, { sender: requester, room: found, draft });
    }
  }

  indices(userIds: readonly UserId[]): number[] {
    const known = userIds.map((id) => this.users.findIndex((it) => it.userId === id));
    return known.filter((it) => it >= 0).toSorted((a, b) => a - b);
  }
}

/** One joins a room that the one who asks then leaves: nobody was an acquaintance, nobody is a stranger. */
const CAME_AS_I_WENT: Step[] = [
  { user: 0, room: 0, act: "join" },
  "sync",
  { user: 1, room: 0, act: "join" },
  { user: 0, room: 0, act: "leave" },
];

test("who is told of agrees with a naive model of who shares rooms", async () => {
  let count = 0;
  await fc.assert(
    fc.asyncProperty(fc.array(step, { minLength: 4, maxLength: 24 }), async (steps) => {
      const world = await World.make(`w${count++}`);
      const { userKey } = present(world.users[0]);
      let after = tailOf(one).position;
      for (const it of [...steps, "sync" as const]) {
        if (it !== "sync") {
          await world.act(it);
          continue;
        }
        const upTo = tailOf(one).position;
        const told = await changedDeviceLists(two, userKey, { after, upTo });
        const { changed, mayBeChanged, left } = world.model.expected();
        const indices = world.indices(told.changed);
        expect(indices).toEqual(expect.arrayContaining(changed));
        expect(mayBeChanged).toEqual(expect.arrayContaining(indices));
        expect(world.indices(told.left)).toEqual(left);
        // Where too many have moved all those are told of, and perhaps others.
        const rough = await changedDeviceLists(two, userKey, { after, upTo }, 0);
        expect(world.indices(rough.changed)).toEqual(expect.arrayContaining(changed));
        expect(world.indices(rough.left)).toEqual(expect.arrayContaining(left));
        world.model.synced();
        after = upTo;
      }
    }),
    { numRuns: 20, examples: [[CAME_AS_I_WENT]] },
  );
}, 60_000);

test("whoever has left all shared rooms and come back is told of as changed, and nobody else", async () => {
  const alice = await testDevice(one, "staying");
  const bob = await testDevice(one, "returning");
  const carol = await testDevice(one, "elsewhere");
  const [roomId, second] = [
    await createRoom(one, alice, { preset: "public_chat" }),
    await createRoom(one, alice, { preset: "public_chat" }),
  ];
  for (const it of [bob, carol]) await joinRoom(one, it, roomId, {});
  await joinRoom(one, carol, second, {});
  const after = tailOf(one).position;
  const told = async (userKey: number) =>
    await changedDeviceLists(two, userKey, { after, upTo: tailOf(one).position });
  for (const it of [bob, carol]) {
    await leaveRoom(one, it, { roomId, reason: undefined });
    await joinRoom(one, it, roomId, {});
  }
  expect(await told(alice.userKey)).toEqual({ changed: [bob.userId], left: [] });
  // To the one who has come back all others are: but for whoever was with them elsewhere.
  const { changed } = await told(bob.userKey);
  expect(changed.toSorted()).toEqual([alice.userId, bob.userId, carol.userId].toSorted());
  expect((await told(carol.userKey)).changed.toSorted()).toEqual([bob.userId].toSorted());
  await leaveRoom(one, alice, { roomId, reason: undefined });
  expect(await told(alice.userKey)).toEqual({ changed: [], left: [bob.userId] });
});

test("the section tells the same from memory and from the database", async () => {
  const alice = await testDevice(one, "alice");
  const bob = await testDevice(one, "bob");
  const stranger = await testDevice(one, "stranger");
  const roomId = await createRoom(one, alice, { preset: "public_chat" });
  await joinRoom(one, bob, roomId, {});
  const { roomKey } = present(await findRoom(one, roomId));
  const after = tailOf(one).position;
  await createDevice(one, bob, { deviceId: "NEW" });
  await createDevice(one, stranger, { deviceId: "NEW" });
  const upTo = tailOf(one).position;

  const question = {
    requester: alice,
    rooms: new Map([[roomKey, roomId]]),
    newRooms: new Set<number>(),
  };
  const changes = (tailOf(one).between(after, upTo) ?? []).filter(
    (it) =>
      deviceListsSection.streams.includes(it.stream) && deviceListsSection.concerns?.(it, question),
  );
  const expected = { global: { device_lists: { changed: [bob.userId], left: [] } } };
  const read = deviceListsSection.read;
  expect(await read(one, { ...question, changes }, { after, upTo })).toEqual(expected);
  expect(await read(two, { ...question, changes: undefined }, { after, upTo })).toEqual(expected);
  expect(await read(one, { ...question, changes: [] }, { after, upTo })).toEqual({});
});

test("an invitation makes nobody an acquaintance, and its refusal nobody a stranger", async () => {
  const alice = await testDevice(one, "inviting");
  const bob = await testDevice(one, "invited");
  const roomId = await createRoom(one, alice, { preset: "private_chat" });
  const after = tailOf(one).position;
  await inviteUser(one, alice, { roomId, target: bob.userId });
  await leaveRoom(one, bob, { roomId, reason: undefined });
  const bounds = { after, upTo: tailOf(one).position };
  for (const { userKey } of [alice, bob]) {
    expect(await changedDeviceLists(one, userKey, bounds)).toEqual({ changed: [], left: [] });
  }
});

test("whoever has changed their name more often than is looked through counts as new, and is missed when they go", async () => {
  const alice = await testDevice(one, "patient");
  const bob = await testDevice(one, "fickle");
  const roomId = await createRoom(one, alice, { preset: "public_chat" });
  await joinRoom(one, bob, roomId, {});
  const after = tailOf(one).position;
  const room = present(await findRoom(one, roomId));
  for (let n = 0; n < 101; n++) {
    const content = { membership: "join", displayname: `Name ${n}` };
    const draft = { type: "m.room.member", state_key: bob.userId, content };
    await sendEvent(one, { sender: bob, room, draft });
  }
  const told = async () =>
    await changedDeviceLists(one, alice.userKey, { after, upTo: tailOf(one).position });
  expect(await told()).toEqual({ changed: [bob.userId], left: [] });
  await leaveRoom(one, bob, { roomId, reason: undefined });
  expect(await told()).toEqual({ changed: [], left: [bob.userId] });
});
