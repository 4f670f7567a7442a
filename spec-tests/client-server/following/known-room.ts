import type { ClientEvent } from "../../answers.ts";
import type { Answer, TestUser } from "../client.ts";

/** How a client asks for what is new. */
export type Manner = {
  readonly limit: number;
  /** Whether it asks for the state after the timeline, and by which name. */
  readonly after?: "use_state_after" | "org.matrix.msc4222.use_state_after";
  readonly lazy?: boolean;
  readonly redundant?: boolean;
  /** The only types of events that it wants in the timeline. */
  readonly types?: readonly string[];
};

/** What a client knows of a room by what it has been told. */
export class KnownRoom {
  readonly user: TestUser;
  readonly roomId: string;
  readonly manner: Manner;
  /** Event IDs by type and state key. */
  readonly state = new Map<string, string>();
  /** The IDs of the events that it has seen. */
  readonly seen = new Set<string>();
  /** What was wrong with the answers that it got. */
  readonly faults: string[] = [];

  constructor(user: TestUser, roomId: string, manner: Manner) {
    this.user = user;
    this.roomId = roomId;
    this.manner = manner;
  }

  forgetMembers(): void {
    for (const key of this.state.keys()) {
      if (key.startsWith("m.room.member ")) this.state.delete(key);
    }
  }

  checkSenders(events: readonly ClientEvent[]): void {
    for (const { sender } of events) {
      if (!this.state.has(`m.room.member ${sender}`)) this.faults.push(`who is ${sender}?`);
    }
  }

  /** Reads back to what is known, or all that can be read if the user was away. @returns the IDs of what was not known */
  async readGap(token: string, wasJoined: boolean): Promise<string[]> {
    const { types } = this.manner;
    const filter = types ? `&filter=${encodeURIComponent(JSON.stringify({ types }))}` : "";
    const path = `/v3/rooms/${encodeURIComponent(this.roomId)}/messages?dir=b&limit=3${filter}`;
    const gap: string[] = [];
    for (let from: string | undefined = token; from !== undefined;) {
      const page: Answer = await this.user.call("GET", `${path}&from=${from}`);
      if (page.status !== 200) this.faults.push(`a gap that is closed: ${page.text}`);
      for (const { event_id } of page.body.chunk ?? []) {
        if (this.seen.has(event_id) && wasJoined) return gap;
        if (!this.seen.has(event_id)) gap.push(event_id);
      }
      from = page.body.end;
    }
    return gap;
  }
}
