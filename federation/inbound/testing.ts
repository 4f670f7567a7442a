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
import { xMatrixHeader } from "../client/x-matrix.ts";
import type { TestFederation } from "../testing.ts";

/** What a server of a test answers to a request; undefined if it has no such thing. */
export type PeerAnswers = (request: {
  readonly method: string;
  /** Decoded, without its query. */
  readonly path: string;
  readonly query: URLSearchParams;
  readonly body: Record<string, unknown>;
}) => unknown;

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
  ask(hs: Homeserver, method: "GET" | "PUT" | "POST", uri: string, body?: unknown): Promise<Asked>;
  /** Sends events, in one transaction. */
  send(
    hs: Homeserver,
    pdus: readonly unknown[],
    txnId?: string,
    edus?: readonly unknown[],
  ): Promise<Asked>;
};

export type Asked = { readonly status: number; readonly body: ReturnType<typeof JSON.parse> };

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
  const ask: Peer["ask"] = async (hs, method, uri, body) => {
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
    return { status: response.status, body: await response.json() };
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
export function answersFrom(
  remote: RemoteRoom,
  hidden: ReadonlySet<EventId> = new Set(),
): PeerAnswers {
  const has = (id: EventId) => remote.events.has(id) && !hidden.has(id);
  const raw = (ids: Iterable<EventId>) =>
    [...ids].filter(has).map((id) => JSON.parse(remote.received(id).json) as unknown);
  const named = (id: EventId, names: "prev_events" | "auth_events") =>
    remote.graph.events.get(id)?.[names] ?? [];
  const chainOf = (ids: Iterable<EventId>): Set<EventId> => {
    const chain = new Set<EventId>();
    const left = [...ids];
    for (let id = left.pop(); id !== undefined; id = left.pop()) {
      for (const cited of named(id, "auth_events")) {
        if (!chain.has(cited)) left.push(cited);
        chain.add(cited);
      }
    }
    return chain;
  };
  const depthOf = (id: EventId) => remote.graph.events.get(id)?.depth ?? 0;
  const before = (from: readonly EventId[], until: readonly EventId[], limit: number) => {
    const found = new Set<EventId>();
    const left = from.flatMap((id) => named(id, "prev_events"));
    for (let id = left.shift(); id !== undefined && found.size < limit; id = left.shift()) {
      if (until.includes(id) || found.has(id) || !has(id)) continue;
      found.add(id);
      left.push(...named(id, "prev_events"));
    }
    return [...found];
  };
  const stateAt = (id: EventId) => [...(remote.events.get(id)?.before.values() ?? [])];
  return ({ path, query, body }) => {
    const [, , , , kind = "", first = "", second = ""] = path.split("/");
    const asked = (query.get("event_id") ?? second) as EventId;
    switch (kind) {
      case "event":
        return has(first as EventId) ? { pdus: raw([first as EventId]) } : undefined;
      case "event_auth":
        return { auth_chain: raw(chainOf([asked])) };
      case "state":
        return { pdus: raw(stateAt(asked)), auth_chain: raw(chainOf(stateAt(asked))) };
      case "state_ids":
        return { pdu_ids: stateAt(asked), auth_chain_ids: [...chainOf(stateAt(asked))] };
      case "get_missing_events": {
        const { latest_events, earliest_events, limit, min_depth } = body as {
          latest_events: EventId[];
          earliest_events: EventId[];
          limit: number;
          min_depth: number;
        };
        const events = before(latest_events, earliest_events, limit);
        return { events: raw(events.toReversed().filter((id) => depthOf(id) >= min_depth)) };
      }
      case "backfill": {
        const from = query.getAll("v").filter((id) => has(id as EventId)) as EventId[];
        const more = before(from, from, Number(query.get("limit")) - from.length);
        return { pdus: raw([...from, ...more]) };
      }
      default:
        return undefined;
    }
  };
}
