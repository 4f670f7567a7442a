import { z } from "zod";
import { buildEvent } from "#src/events/build-event.ts";
import { ROOM_VERSIONS } from "#src/events/room-versions.ts";
import type { EventId, RoomId, UserId } from "#src/kit/identifiers.ts";
import type { HttpConnection } from "../load/http-connection.ts";
import type { Maker } from "./peer-room.ts";

/** Makes a request of a server of the load, signed by it. */
export type SignRequest = (method: string, uri: string, content?: string) => string;

const Proposal = z.object({
  room_version: z.string(),
  event: z.object({
    prev_events: z.array(z.string()),
    auth_events: z.array(z.string()),
    depth: z.number(),
  }),
});

/** Sends a request of another server to the one that is measured. @throws Error unless it answers 200 */
export async function exchange(connection: HttpConnection, request: string): Promise<Buffer> {
  const { status, body } = await connection.exchange(request, true);
  if (status === 200) return body;
  const line = request.slice(0, request.indexOf("\r\n"));
  throw new Error(`${line} was answered ${status} ${body.toString("utf8", 0, 200)}`);
}

/** Has a user of a server of the load join a room of the server that is measured. */
export async function joinElsewhere(
  { connection, sign, maker }: { connection: HttpConnection; sign: SignRequest; maker: Maker },
  roomId: string,
  user: UserId,
): Promise<void> {
  const place = `${encodeURIComponent(roomId)}/${encodeURIComponent(user)}`;
  const asked = sign("GET", `/_matrix/federation/v1/make_join/${place}?ver=12`);
  const proposed = Proposal.parse(JSON.parse((await exchange(connection, asked)).toString()));
  const rules = ROOM_VERSIONS.get(proposed.room_version);
  if (rules === undefined) throw new Error(`There is no version ${proposed.room_version}.`);
  const content = { membership: "join" };
  const { event, json } = buildEvent(
    { type: "m.room.member", state_key: user, content },
    {
      sender: user,
      roomId: roomId as RoomId,
      rules,
      prevEvents: proposed.event.prev_events as EventId[],
      authEvents: proposed.event.auth_events as EventId[],
      depth: proposed.event.depth,
      now: Date.now(),
      server: maker.server,
      signingKey: maker.key,
    },
  );
  const at = `${encodeURIComponent(roomId)}/${encodeURIComponent(event.event_id)}`;
  await exchange(connection, sign("PUT", `/_matrix/federation/v2/send_join/${at}`, json));
}
