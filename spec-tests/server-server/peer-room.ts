import { idOf, madePdu, type Pdu } from "./pdu.ts";
import { E, good, type Peer, V1, V2 } from "./peer.ts";
import type { ServerBody, TransactionAnswer, WirePdu } from "./server-answers.ts";

/** The room versions that peers know. */
export const VERSIONS = "ver=11&ver=12";

/** What an event says, before it has a place in a room. */
export type Draft = {
  readonly type: string;
  readonly content: WirePdu["content"];
  readonly state_key?: string;
};

/** A room as a peer knows it that a user of its own has joined. */
export type PeerRoom = {
  readonly roomId: string;
  /** What `send_join` answered. */
  readonly joined: ServerBody;
  /** Makes an event after the last one of the peer's, or after others. */
  build(sender: string, draft: Draft, prev?: readonly string[]): Pdu;
  /** Makes an event, and sends it. @returns its ID */
  send(sender: string, draft: Draft): Promise<string>;
};

/** What is proposed to a peer, as an event of its own. */
export function signedTemplate(
  peer: Peer,
  { event }: { readonly event: WirePdu },
  further: object = {},
): Pdu {
  const { type, state_key, sender, room_id, prev_events, auth_events, depth, content } = event;
  return madePdu(peer, {
    type,
    ...(state_key !== undefined && { state_key }),
    sender,
    room_id,
    prev_events,
    auth_events,
    depth,
    content: { ...content, ...further },
    origin_server_ts: Date.now(),
  });
}

/** Has a user of a peer's join a room of the homeserver. */
export async function joinRoom(peer: Peer, roomId: string, user: string): Promise<PeerRoom> {
  const path = `make_join/${E(roomId)}/${E(user)}?${VERSIONS}`;
  const join = signedTemplate(peer, good(await peer.ask("GET", `${V1}/${path}`)));
  const joined = good(
    await peer.ask("PUT", `${V2}/send_join/${E(roomId)}/${E(join.id)}`, join.wire),
  );
  const state = new Map<string, string>();
  for (const it of [...joined.state, join.wire]) state.set(`${it.type} ${it.state_key}`, idOf(it));
  let last = join;
  let count = 0;
  const build: PeerRoom["build"] = (sender, draft, prev = [last.id]) =>
    madePdu(peer, {
      ...draft,
      sender,
      room_id: roomId,
      prev_events: prev,
      auth_events: authKeys(roomId, sender).flatMap((key) => state.get(key) ?? []),
      depth: last.wire.depth + 1,
      origin_server_ts: Date.now(),
    });
  return {
    roomId,
    joined,
    build,
    async send(sender, draft) {
      const made = build(sender, draft);
      const txnId = `${join.id}${(count += 1)}`;
      const { pdus } = good(await sendTransaction(peer, { pdus: [made.wire] }, txnId));
      const error = pdus[made.id]?.error;
      if (error !== undefined) throw new Error(error);
      last = made;
      return made.id;
    },
  };
}

/** What authorises an event that is no member's. @spec server-server-api#auth-events-selection */
function authKeys(roomId: string, sender: string): string[] {
  // Since version 12 the room's ID says which create event is meant, and has no server in it.
  const create = roomId.includes(":") ? ["m.room.create "] : [];
  return [...create, "m.room.power_levels ", `m.room.member ${sender}`];
}

/** Sends a transaction of a peer's. */
export async function sendTransaction(
  peer: Peer,
  {
    pdus = [],
    edus = [],
  }: { readonly pdus?: readonly unknown[]; readonly edus?: readonly unknown[] },
  txnId: string,
) {
  const body = { origin: peer.name, origin_server_ts: Date.now(), pdus, edus };
  return await peer.ask<TransactionAnswer>("PUT", `${V1}/send/${E(txnId)}`, body);
}

export function message(body: string): Draft {
  return { type: "m.room.message", content: { msgtype: "m.text", body } };
}
