import { mkdtempSync, readdirSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { parsePdu } from "#src/events/parse-pdu.ts";
import { stateKeyOf } from "#src/events/pdu.ts";
import type { EventId, RoomId } from "#src/kit/identifiers.ts";
import { testAuthority } from "#src/outbound/testing.ts";
import { RemoteRoom } from "#src/rooms/received/testing.ts";
import { type HomeserverUnderTest, startHomeserver } from "../homeserver-under-test.ts";
import type { WirePdu } from "../server-server/server-answers.ts";
import type { TestUser } from "../test-user.ts";
import { type Liar, openLiar } from "./liar.ts";

/** A homeserver of ours, a user of it, and a server that lies to it. */
export type Siege = {
  readonly server: HomeserverUnderTest;
  readonly name: string;
  readonly victim: TestUser;
  readonly liar: Liar;
  /** A room of the liar's that the victim has joined: with the liar's help, who tells the truth that once. */
  joinedRoom(version?: string): Promise<BesiegedRoom>;
  /** How much memory the server has of its own, without its database, in MiB. */
  memory(): number;
  close(): Promise<void>;
};

export type BesiegedRoom = {
  readonly remote: RemoteRoom;
  readonly roomId: RoomId;
  /** The victim's join. */
  readonly joined: EventId;
  /** An event as the liar sends it. */
  readonly wire: (id: EventId) => WirePdu;
  /** The bodies of the newest messages as the victim sees them, newest first. */
  readonly seen: () => Promise<readonly unknown[]>;
};

const SERVER_NAME = "besieged.test";

/** Starts all of it. */
export async function openSiege(env: Readonly<Record<string, string>> = {}): Promise<Siege> {
  const directory = mkdtempSync(join(tmpdir(), "archipel-siege-"));
  const authority = testAuthority(directory);
  const server = await startHomeserver({
    env: { SERVER_NAME, CA_CERT: authority.caFile, ...env },
  });
  const liar = await openLiar(authority, { name: SERVER_NAME, url: server.url });
  const victim = await server.registerUser("victim");
  let rooms = 0;
  return {
    server,
    name: SERVER_NAME,
    victim,
    liar,
    async joinedRoom(version = "12") {
      const remote = new RemoteRoom(version, `siege${rooms++}`);
      if (remote.roomId !== undefined) remote.roomId = `!siege${rooms}:${liar.name}`;
      const last = remote.begin(liar.user("creator"));
      return await joinThrough({ liar, victim, remote, last });
    },
    memory: () => residentMiB(server.pid ?? 0),
    async close() {
      await server.dispose();
      await liar.close();
      rmSync(directory, { recursive: true, force: true });
    },
  };
}

/** What a lying resident has to know. */
export type Residence = {
  readonly liar: Liar;
  readonly victim: TestUser;
  readonly remote: RemoteRoom;
  readonly last: EventId;
};

/** What an honest resident answers to those who join. */
export function honestAnswers({ victim, remote, last }: Residence) {
  const wire = wireIn(remote);
  const state = [...remote.stateAfter([last]).values()];
  return {
    makeJoin: () => ({
      room_version: remote.rules.version,
      event: {
        type: "m.room.member",
        room_id: remote.roomId,
        sender: victim.userId,
        state_key: victim.userId,
        content: { membership: "join" },
        depth: (remote.graph.events.get(last)?.depth ?? 0) + 1,
        prev_events: referencesTo([last]),
        auth_events: referencesTo(authOfJoin()),
        origin_server_ts: Date.now(),
      },
    }),
    sendJoin: (event: unknown) => ({
      auth_chain: state.map(wire),
      state: state.map(wire),
      event,
      members_omitted: false,
    }),
  };

  /** In the first two versions of rooms a reference has the hash too. */
  function referencesTo(ids: readonly EventId[]): unknown {
    return remote.rules.eventFormat === "ids" ? ids : ids.map((id) => [id, {}]);
  }

  function authOfJoin(): EventId[] {
    const types = ["m.room.create", "m.room.power_levels", "m.room.join_rules"];
    return state.filter((id) => {
      const type = remote.graph.events.get(id)?.type ?? "";
      return (
        types.includes(type) && !(type === "m.room.create" && remote.rules.roomIdIsCreateEventId)
      );
    });
  }
}

async function joinThrough(residence: Residence): Promise<BesiegedRoom> {
  const { liar, victim, remote } = residence;
  const { roomId } = remote;
  if (roomId === undefined) throw new Error("the room has no ID");
  const honest = honestAnswers(residence);
  let joined: EventId | undefined;
  liar.answer(({ path, body }) => {
    if (path.includes("/make_join/")) return { json: honest.makeJoin() };
    if (!path.includes("/send_join/")) return undefined;
    joined = path.split("/").at(-1) as EventId;
    addJoin(residence, body);
    return { json: honest.sendJoin(body) };
  });
  const path = `/v3/join/${encodeURIComponent(roomId)}?via=${liar.name}`;
  const answer = await victim.call("POST", path, {});
  liar.answer(() => undefined);
  if (answer.status !== 200 || joined === undefined) {
    throw new Error(`the victim does not join: ${answer.status} ${JSON.stringify(answer.body)}`);
  }
  return {
    remote,
    roomId,
    joined,
    wire: wireIn(remote),
    async seen() {
      const messages = `/v3/rooms/${encodeURIComponent(roomId)}/messages?dir=b&limit=100`;
      const { body } = await victim.call("GET", messages);
      return body.chunk.filter((it) => it.type === "m.room.message").map((it) => it.content.body);
    },
  };
}

/** The events of a room as its servers send them. */
function wireIn(remote: RemoteRoom): (id: EventId) => WirePdu {
  return (id) => JSON.parse(remote.received(id).json) as WirePdu;
}

/** Adds the victim's join to the room as the liar has it. */
function addJoin({ remote, victim, last }: Residence, body: unknown): void {
  const parsed = parsePdu(body, remote.rules);
  if (!parsed.ok) throw new Error(parsed.reason);
  const { event, wire, json } = parsed;
  const before = remote.stateAfter([last]);
  const after = new Map(before).set(stateKeyOf("m.room.member", victim.userId), event.event_id);
  remote.graph.events.set(event.event_id, event);
  remote.events.set(event.event_id, {
    built: { event, wire, json },
    isRejected: false,
    before,
    after,
  });
}

/** The resident memory of a process and those it has started, but for those of a database. */
function residentMiB(root: number): number {
  const all = readdirSync("/proc")
    .filter((entry) => /^\d+$/.test(entry))
    .flatMap((entry) => {
      try {
        const status = readFileSync(`/proc/${entry}/status`, "utf8");
        const field = (name: string) =>
          Number(new RegExp(`^${name}:\\s*(\\d+)`, "m").exec(status)?.[1] ?? 0);
        const name = /^Name:\s*(.*)$/m.exec(status)?.[1] ?? "";
        return [{ pid: Number(entry), parent: field("PPid"), kib: field("VmRSS"), name }];
      } catch {
        // It has ended meanwhile.
        return [];
      }
    });
  const below = (pid: number): typeof all =>
    all.filter((it) => it.parent === pid).flatMap((it) => [it, ...below(it.pid)]);
  const own = all.filter((it) => it.pid === root);
  return [...own, ...below(root)]
    .filter((it) => !it.name.startsWith("postgres"))
    .reduce((sum, it) => sum + it.kib / 1024, 0);
}
