import { writeFileSync } from "node:fs";
import type { RequestListener } from "node:http";
import { join } from "node:path";
import { getRequestListener } from "@hono/node-server";
import { appOf } from "#src/app.ts";
import type { EventDraft } from "#src/events/build-event.ts";
import { memberDraft } from "#src/events/testing.ts";
import type { Homeserver } from "#src/homeserver/homeserver.ts";
import type { EventId, RoomId, UserId } from "#src/kit/identifiers.ts";
import { type TestAuthority, testAuthority, testTlsServer } from "#src/outbound/testing.ts";
import { FOLLOWERS } from "#src/roles.ts";
import { knownRoom, receive, RemoteRoom } from "#src/rooms/received/testing.ts";
import { runFollowers } from "#src/streams/run-followers.ts";
import { testDirectory } from "#src/testing-directory.ts";
import { LENIENT } from "#src/testing-http.ts";
import { testHomeservers, type TestHomeservers } from "#src/testing.ts";
import type { OutboundTimes } from "./outbound/outbound-times.ts";
import { runOutbound } from "./outbound/run-outbound.ts";

/** Servers of one test that can reach each other over TLS, and nothing else. */
export type TestFederation = {
  readonly authority: TestAuthority;
  /** Opens a homeserver of ours that the others can reach. */
  open(options?: OpenOptions): Promise<FederatedHomeserver>;
  /** Opens a server that does as the test says. @returns its name, as in `liar.test:4711`. */
  pretend(host: string, listener: RequestListener): Promise<string>;
  close(): Promise<void>;
};

export type OpenOptions = {
  /** Its host name, known to all servers of the test. */
  readonly host?: string;
  readonly variables?: Readonly<Record<string, string>>;
  /** How many processes it has; the first one is reached by others. */
  readonly processes?: number;
  /** How it sends, if not as always. */
  readonly outboundTimes?: OutboundTimes;
  /** Whether it sends nothing by itself. */
  readonly isSilent?: boolean;
  /** What a request of another server waits for before it is answered, by its path. If that fails, it gets no answer. */
  readonly gate?: (uri: string) => Promise<void> | undefined;
};

export type FederatedHomeserver = TestHomeservers & { readonly name: Homeserver["name"] };

let rooms = 0;

/**
 * A room that servers have in common, made of events that were brought to all of them: nobody has asked
 * anybody to join.
 *
 * @param userIds who are in it; the first has made it.
 */
export async function sharedRoom(
  servers: readonly Homeserver[],
  [creator, ...others]: readonly [UserId, ...UserId[]],
): Promise<SharedRoom> {
  const remote = new RemoteRoom("12", `shared${rooms++}`);
  let last = remote.begin(creator);
  const member = (userId: UserId, membership: string) =>
    (last = remote.add(userId, memberDraft(userId, membership), [last]));
  for (const userId of others) member(userId, "join");
  const { roomId } = remote;
  if (roomId === undefined) throw new Error("a room was given no ID");
  const deliver = async (ids: readonly EventId[]) => {
    for (const hs of servers) {
      await receive(hs, { room: await knownRoom(hs, remote), remote }, ids);
    }
  };
  await deliver([...remote.events.keys()]);
  return {
    roomId,
    async send(sender, draft, before) {
      last = remote.add(sender, draft, [last]);
      await before?.(last);
      await deliver([last]);
      return last;
    },
    async move(userId, membership) {
      await deliver([member(userId, membership)]);
    },
  };
}

export type SharedRoom = {
  readonly roomId: RoomId;
  /** Brings all servers one more event. @param before what happens while nobody has it. */
  send(
    sender: UserId,
    draft: EventDraft,
    before?: (eventId: EventId) => Promise<void>,
  ): Promise<EventId>;
  /** Has a user join or leave. */
  move(userId: UserId, membership: "join" | "leave"): Promise<void>;
};

/**
 * A federation on this machine: TLS with an authority of its own, and a hosts file in place of DNS.
 *
 * Servers' names have their port, so that nothing is looked for elsewhere.
 */
export async function testFederation(): Promise<TestFederation> {
  const authority = testAuthority();
  const hostsFile = join(testDirectory(), "hosts");
  writeFileSync(hostsFile, "127.0.0.1 hs1.test hs2.test hs3.test liar.test notary.test\n");
  const closes: (() => Promise<void>)[] = [];

  const listen = async (host: string, listener: RequestListener): Promise<string> => {
    const server = await testTlsServer(authority.issue(host), listener);
    closes.push(async () => await server.close());
    return `${host}:${server.port}`;
  };

  return {
    authority,
    pretend: listen,
    async open({
      host = "hs1.test",
      variables = {},
      processes = 1,
      outboundTimes,
      isSilent = false,
      gate,
    } = {}) {
      // The name has the port, and the homeserver needs the name: so it listens first.
      let answer: RequestListener | undefined;
      const name = await listen(host, (request, response) => answer?.(request, response));
      const variablesOfAll = {
        ...LENIENT,
        ARCHIPEL_SERVER_NAME: name,
        ARCHIPEL_FEDERATION_HOSTS_FILE: hostsFile,
        ARCHIPEL_FEDERATION_CA_FILE: authority.caFile,
        ARCHIPEL_FEDERATION_ALLOWED_ADDRESS_RANGES: "127.0.0.0/8",
        ...variables,
      };
      const servers = await testHomeservers(processes, variablesOfAll, (hs) =>
        isSilent ? [] : [runFollowers(hs, FOLLOWERS), runOutbound(hs, outboundTimes)],
      );
      const serve = getRequestListener(appOf(servers.hs).fetch);
      answer = (request, response) =>
        void (async () => {
          await gate?.(request.url ?? "");
          await serve(request, response);
        })().catch(() => request.socket.destroy());
      closes.push(async () => await servers.close());
      return { ...servers, name: servers.hs.name };
    },
    async close() {
      for (const close of closes.splice(0).reverse()) await close();
    },
  };
}
