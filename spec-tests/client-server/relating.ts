import type { Body } from "../answers.ts";
import type { TestUser } from "./client.ts";

/** The events of a page of relations. */
export const ids = (body: Pick<Body, "chunk">) => body.chunk.map((it) => it.event_id);

export const text = (body: string) => ({ msgtype: "m.text", body });
export const relating = (rel_type: string, event_id: string, further: object = {}) => ({
  "m.relates_to": { rel_type, event_id, ...further },
});

/** A room of Alice's that Bob is in. */
export async function roomOf(alice: TestUser, bob: TestUser): Promise<string> {
  const roomId = await alice.createRoom({ preset: "public_chat" });
  await bob.call("POST", `/v3/join/${roomId}`, {});
  return roomId;
}

export const edit = async (user: TestUser, roomId: string, eventId: string, body: string) =>
  await user.send(roomId, "m.room.message", {
    ...text(`* ${body}`),
    "m.new_content": text(body),
    ...relating("m.replace", eventId),
  });
export const react = async (user: TestUser, roomId: string, eventId: string, key: string) =>
  await user.send(roomId, "m.reaction", relating("m.annotation", eventId, { key }));
export const refer = async (user: TestUser, roomId: string, eventId: string) =>
  await user.send(roomId, "org.example.answer", relating("m.reference", eventId));
export const reply = async (user: TestUser, roomId: string, root: string, body: string) =>
  await user.send(roomId, "m.room.message", { ...text(body), ...relating("m.thread", root) });
export const read = async (user: TestUser, roomId: string, path: string) =>
  await user.call("GET", `/v1/rooms/${encodeURIComponent(roomId)}/relations/${path}`);
export const redact = async (user: TestUser, roomId: string, eventId: string) =>
  await user.call("PUT", `/v3/rooms/${roomId}/redact/${eventId}/r${eventId}`, {});
