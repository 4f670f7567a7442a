/** Servers that write down what they are sent, and rooms that we share with them. For tests alone. */

import { memberDraft } from "#src/events/testing.ts";
import type { Homeserver } from "#src/homeserver/homeserver.ts";
import type { EventId, ServerName, UserId } from "#src/kit/identifiers.ts";
import type { Requester } from "#src/kit/requester.ts";
import type { Room } from "#src/rooms/find-room.ts";
import { completeRoom } from "#src/rooms/partial/complete-room.ts";
import { receiveEvents } from "#src/rooms/received/receive-events.ts";
import { storeJoinedState } from "#src/rooms/received/store-joined-state.ts";
import { storeOutliers } from "#src/rooms/received/store-outliers.ts";
import { knownRoom, RemoteRoom } from "#src/rooms/received/testing.ts";
import { sendEvent } from "#src/rooms/send-event.ts";
import { testUser } from "#src/testing.ts";
import { testFederation, type TestFederation } from "../testing.ts";
import type { OutboundTimes } from "./outbound-times.ts";

/** Little time for everything. */
export const QUICK: OutboundTimes = {
  leaseMs: 2_000,
  renewMs: 300,
  saveMs: 50,
  lookMs: 200,
  idleMs: 60_000,
  calmMs: 50,
  slowMs: 1_000,
};

/** How long it may take on a busy machine until another server is told. */
export const WAIT = { timeout: 20_000, interval: 20 };

export type SentTransaction = {
  readonly txnId: string;
  readonly body: {
    readonly pdus: readonly (Record<string, unknown> & { content: Record<string, unknown> })[];
    readonly edus: readonly { edu_type: string; content: Record<string, unknown> }[];
  };
};

/** A server of the test's own. */
export type Recorder = {
  readonly name: ServerName;
  /** What it was sent, also what it has not answered. */
  readonly transactions: SentTransaction[];
  /** How it answers now: as it should, not at all, that it cannot, or only after it has closed the connection. */
  mode: "up" | "down" | "failing" | "mute";
  /** What it answers 400 to. */
  refuses: (text: string) => boolean;
  /** What the events say that it has taken, in order. */
  readonly bodies: () => unknown[];
  readonly taken: SentTransaction[];
};

export async function recorder(federation: TestFederation, host: string): Promise<Recorder> {
  const transactions: SentTransaction[] = [];
  const taken: SentTransaction[] = [];
  const own = { mode: "up" as Recorder["mode"], refuses: (_text: string) => false };
  const name = await federation.pretend(host, (request, response) => {
    const chunks: Buffer[] = [];
    request.on("data", (chunk: Buffer) => chunks.push(chunk));
    request.on("end", () => {
      if (own.mode === "down") {
        request.socket.destroy();
        return;
      }
      const [, txnId] = /\/send\/([^/]+)$/.exec(request.url ?? "") ?? [];
      const text = Buffer.concat(chunks).toString();
      const isRefused = own.refuses(text);
      if (txnId !== undefined) {
        const body = JSON.parse(text) as SentTransaction["body"];
        transactions.push({ txnId, body });
        if (own.mode === "up" && !isRefused) taken.push({ txnId, body });
      }
      if (isRefused) {
        response.writeHead(400).end('{"errcode":"M_BAD_JSON"}');
        return;
      }
      if (own.mode === "mute") request.socket.destroy();
      else if (own.mode === "failing") response.writeHead(500).end("{}");
      else response.writeHead(200, { "content-type": "application/json" }).end('{"pdus":{}}');
    });
  });
  return {
    name: name as ServerName,
    transactions,
    taken,
    get mode() {
      return own.mode;
    },
    set mode(mode) {
      own.mode = mode;
    },
    get refuses() {
      return own.refuses;
    },
    set refuses(refuses) {
      own.refuses = refuses;
    },
    bodies: () => taken.flatMap((it) => it.body.pdus.map(({ content }) => content["body"])),
  };
}

/** Has a server that has failed be left alone for half an hour. @returns 1 once that is so. */
export async function putOff(hs: Homeserver, { name }: Recorder): Promise<number> {
  const { count } = await hs.sql`
    update destinations set retry_at_ms = retry_at_ms + 1800000, failures = 12
    where server_name = ${name} and failures > 0 and holder is null`;
  return count;
}

/** Has a server be tried that was put off. */
export async function tryAgain(hs: Homeserver, { name }: Recorder): Promise<void> {
  await hs.sql`update destinations set retry_at_ms = 0 where server_name = ${name}`;
}

export type SharedRoom = {
  readonly room: Room;
  readonly remote: RemoteRoom;
  readonly local: Requester;
  /** The creator's, and one of each other server. */
  readonly members: readonly UserId[];
  /** Has us know all members, where we were not told them. */
  tellMembers(): Promise<void>;
  /** Has somebody of another server send something after what is there. */
  receive(sender: UserId, draft: Parameters<RemoteRoom["add"]>[1], how?: object): Promise<EventId>;
  say(body: string, by?: Homeserver): Promise<EventId>;
  /** Changes what another user is, by our user. */
  setMember(userId: UserId, membership: string): Promise<EventId>;
};

let rooms = 0;

/**
 * A room that users of other servers are in, and a user of ours, of some name, who joins last.
 *
 * @param membersFrom the servers that are said to be there; undefined if we are told all members at once.
 */
export async function sharedRoom(
  hs: Homeserver,
  servers: readonly ServerName[],
  name = "local",
  membersFrom?: readonly ServerName[],
): Promise<SharedRoom> {
  const remote = new RemoteRoom("12", `outbound${rooms++}`);
  const local = await testUser(hs, name);
  const members = servers.map((it): UserId => `@member:${it}`);
  const [creator = "@a:b", ...others] = members;
  let last = remote.begin(creator, { [local.userId]: 100 });
  for (const user of [...others, local.userId]) {
    last = remote.add(user, memberDraft(user, "join"), [last]);
  }
  const room = await knownRoom(hs, remote);
  const before = [...(remote.events.get(last)?.before.values() ?? [])];
  const isTold = (id: EventId) =>
    !membersFrom || remote.graph.events.get(id)?.type !== "m.room.member";
  const joinId = last;
  await storeJoinedState(hs, {
    room,
    stateEvents: before.filter(isTold).map((id) => remote.received(id)),
    authChain: [...remote.events.keys()].slice(0, 4).map((id) => remote.received(id)),
    joinEvent: remote.received(last),
    ...(membersFrom && { membersFrom }),
  });
  return {
    room,
    remote,
    local,
    members,
    async tellMembers() {
      await storeOutliers(
        hs,
        room,
        before.map((id) => remote.received(id)),
      );
      await completeRoom(hs, room, { joinId, state: before });
    },
    async receive(sender, draft, how = {}) {
      last = remote.add(sender, draft, [last]);
      await receiveEvents(hs, room, [remote.received(last)], { as: "live", ...how });
      return last;
    },
    say: async (body, by = hs) =>
      await sendEvent(by, {
        sender: local,
        room,
        draft: { type: "m.room.message", content: { body } },
      }),
    setMember: async (userId, membership) =>
      await sendEvent(hs, { sender: local, room, draft: memberDraft(userId, membership) }),
  };
}

/**
 * A homeserver of two processes that sends as fast as it can, and two servers that write down what they are sent.
 *
 * @param variables the homeserver's configuration, as in the environment.
 */
export async function recordedFederation(variables: Readonly<Record<string, string>> = {}) {
  const federation = await testFederation();
  const hs1 = await federation.open({ processes: 2, outboundTimes: QUICK, variables });
  const one = await recorder(federation, "liar.test");
  const two = await recorder(federation, "notary.test");
  return { federation, hs1, one, two };
}

/** What a server was told beside events, of one type. */
export function told(by: Recorder, type: string) {
  return by.taken
    .flatMap((it) => it.body.edus)
    .filter((it) => it.edu_type === type)
    .map((it) => it.content);
}

/** The bodies that begin so, of what a server has taken. */
export const taking = (by: Recorder, prefix: string) =>
  by.bodies().filter((it) => typeof it === "string" && it.startsWith(prefix));
