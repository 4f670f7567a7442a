/** A server of a test's own, and a room that it shares with a homeserver of ours. For tests alone. */

import type { IncomingMessage, ServerResponse } from "node:http";
import { buffer } from "node:stream/consumers";
import { appOf } from "#src/app.ts";
import type { EventDraft } from "#src/events/build-event.ts";
import { memberDraft } from "#src/events/testing.ts";
import type { Homeserver } from "#src/homeserver/homeserver.ts";
import { unpaddedBase64 } from "#src/kit/base64.ts";
import { type CanonicalObject, laxCanonicalJson } from "#src/kit/canonical-json.ts";
import type { EventId, ServerName, UserId } from "#src/kit/identifiers.ts";
import { type SigningKey, signingKeyFromSeed, signJson } from "#src/kit/signed-json.ts";
import type { Room } from "#src/rooms/find-room.ts";
import { joinedRoom, RemoteRoom } from "#src/rooms/received/testing.ts";
import type {
  ServerBody,
  TransactionAnswer,
} from "../../spec-tests/server-server/server-answers.ts";
import { xMatrixHeader } from "../client/x-matrix.ts";
import type { TestFederation } from "../testing.ts";
import { residentOf } from "./testing-resident.ts";

/** What a server of a test answers to a request; undefined if it has no such thing. */
export type PeerAnswers = (request: {
  readonly method: string;
  /** Decoded, without its query. */
  readonly path: string;
  readonly query: URLSearchParams;
  readonly body: Record<string, unknown>;
}) => unknown;

/** What a server answers that ends the connection instead. */
export const NO_ANSWER = Symbol("no answer");

/** A server that does as a test says, and whose name and key are its own. */
export type Peer = {
  readonly name: ServerName;
  readonly key: SigningKey;
  /** What it was asked so far, but for its keys. */
  readonly asked: string[];
  /** What it answers from now on. */
  answer(answers: PeerAnswers): void;
  user(localpart: string): UserId;
  /** Asks a homeserver something, with its signature. */
  ask<T = ServerBody>(
    hs: Homeserver,
    method: "GET" | "PUT" | "POST",
    uri: string,
    body?: unknown,
  ): Promise<Asked<T>>;
  /** Sends events, in one transaction. */
  send(
    hs: Homeserver,
    pdus: readonly unknown[],
    txnId?: string,
    edus?: readonly unknown[],
  ): Promise<Asked<TransactionAnswer>>;
};

export type Asked<T = ServerBody> = { readonly status: number; readonly body: T };

let transactions = 0;

/**
 * A server at a host name of the test federation. It signs with the key that a `RemoteRoom` gives it.
 *
 * @param isReady what it waits for before it says which that is.
 */
export async function testPeer(
  federation: TestFederation,
  host = "liar.test",
  { isReady }: { readonly isReady?: Promise<void> } = {},
): Promise<Peer> {
  const asked: string[] = [];
  let answers: PeerAnswers = () => undefined;
  let published: CanonicalObject = {};
  const respond = async (request: IncomingMessage, response: ServerResponse) => {
    const url = new URL(request.url ?? "/", "https://peer.test");
    const text = (await buffer(request)).toString();
    if (url.pathname === "/_matrix/key/v2/server") {
      await isReady;
      response.end(JSON.stringify(published));
      return;
    }
    const path = decodeURIComponent(url.pathname);
    asked.push(`${request.method} ${path}`);
    const body = text === "" ? {} : (JSON.parse(text) as Record<string, unknown>);
    const answer = await answers({
      method: request.method ?? "",
      path,
      query: url.searchParams,
      body,
    });
    if (answer === NO_ANSWER) {
      response.destroy();
      return;
    }
    if (answer === undefined) response.statusCode = 404;
    response.end(JSON.stringify(answer ?? { errcode: "M_NOT_FOUND", error: "No" }));
  };
  const name = (await federation.pretend(host, (request, response) => {
    void respond(request, response);
  })) as ServerName;
  const key = signingKeyFromSeed("ed25519:1", Buffer.alloc(32, name));
  published = signJson(
    {
      server_name: name,
      valid_until_ts: Date.now() + 3_600_000,
      verify_keys: { [key.keyId]: { key: unpaddedBase64(key.publicKey) } },
      old_verify_keys: {},
    },
    name,
    key,
  );
  const ask: Peer["ask"] = async <T>(
    hs: Homeserver,
    method: string,
    uri: string,
    body?: unknown,
  ) => {
    const content = body === undefined ? undefined : laxCanonicalJson(body);
    const signed = { method, uri, origin: name, destination: hs.name };
    const authorization = xMatrixHeader(
      content === undefined ? signed : { ...signed, content },
      key,
    );
    const response = await appOf(hs).request(uri, {
      method,
      headers: { authorization },
      ...(content !== undefined && { body: content }),
    });
    const said: unknown = await response.json();
    return { status: response.status, body: said as T };
  };
  return {
    name,
    key,
    asked,
    answer: (it) => void (answers = it),
    user: (localpart) => `@${localpart}:${name}`,
    ask,
    async send(hs, pdus, txnId = `t${transactions++}`, edus = []) {
      const body = { origin: name, origin_server_ts: Date.now(), pdus, edus };
      return await ask(hs, "PUT", `/_matrix/federation/v1/send/${txnId}`, body);
    },
  };
}

/** A room that users of a peer have made and a user of ours has joined. */
export type SharedRoom = {
  readonly remote: RemoteRoom;
  readonly room: Room;
  /** The joined event of the user of ours: the last that both servers have. */
  readonly joined: EventId;
  /** An event as the peer would send it. */
  readonly wire: (id: EventId) => Record<string, unknown>;
};

let rooms = 0;

export type SharedPast = {
  readonly version?: string;
  /** What else was sent before the user of ours joined. */
  readonly state?: readonly EventDraft[];
  /** Adds more after the last event, and says which is the last then. */
  readonly past?: (remote: RemoteRoom, last: EventId) => EventId;
};

/** A room of which `peer` has all and `hs` what it got when `local` joined. */
export async function sharedRoom(
  hs: Homeserver,
  peer: Peer,
  { version = "12", state = [], past = (_, it) => it }: SharedPast = {},
): Promise<SharedRoom> {
  const remote = new RemoteRoom(version, `shared${rooms}`);
  if (remote.roomId !== undefined) remote.roomId = `!shared${rooms}:${peer.name}`;
  rooms++;
  const creator = peer.user("creator");
  let last = remote.begin(creator);
  for (const draft of state) last = remote.add(creator, draft, [last]);
  last = past(remote, last);
  const local: UserId = `@local:${hs.name}`;
  const joined = remote.add(local, memberDraft(local, "join"), [last]);
  return {
    remote,
    room: await joinedRoom(hs, remote, joined),
    joined,
    wire: (id) => JSON.parse(remote.received(id).json) as Record<string, unknown>,
  };
}

/** Answers as a server that has all of a room, or all but some events, does. */
export function answersFrom(remote: RemoteRoom, hidden?: ReadonlySet<EventId>): PeerAnswers {
  const resident = residentOf(remote, hidden);
  return ({ path, query, body }) => {
    const [, , , , kind = "", first = "", second = ""] = path.split("/");
    const asked = (query.get("event_id") ?? second) as EventId;
    switch (kind) {
      case "event": {
        const answer = resident.getEvent(first as EventId);
        return answer.pdus.length > 0 ? answer : undefined;
      }
      case "event_auth":
        return resident.getEventAuth(asked);
      case "state":
        return resident.getRoomState(asked);
      case "state_ids":
        return resident.getRoomStateIds(asked);
      case "get_missing_events":
        return resident.getMissingPreviousEvents(
          body as Parameters<typeof resident.getMissingPreviousEvents>[0],
        );
      case "backfill":
        return resident.backfillRoom(query.getAll("v") as EventId[], Number(query.get("limit")));
      default:
        return undefined;
    }
  };
}
