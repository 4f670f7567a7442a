import { z } from "zod";

/** A request as the null server sees it. */
export type NullRequest = {
  readonly path: string;
  readonly query: URLSearchParams;
  readonly body: string;
  readonly token: string;
};

type NullRoom = {
  readonly id: string;
  readonly members: Set<string>;
  readonly events: NullEvent[];
};
type NullEvent = { readonly position: number; readonly json: string };

const username = z.object({ username: z.string() });

/**
 * As much of a homeserver as the load needs to run, in memory.
 *
 * @param faulty for tests of the checks: events that members are never told of
 */
export function nullHomeserver(faulty: (eventId: string) => boolean = () => false) {
  const rooms = new Map<string, NullRoom>();
  const waiting = new Map<string, Set<() => void>>();
  let position = 0;

  const store = (room: NullRoom, { type, content, sender }: Record<string, string>): string => {
    position += 1;
    const eventId = `$${position}`;
    const json = `{"event_id":"${eventId}","type":"${type}","sender":"${sender}","content":${content}}`;
    if (!faulty(eventId)) room.events.push({ position, json });
    for (const member of room.members) for (const wake of waiting.get(member) ?? []) wake();
    return `{"event_id":"${eventId}"}`;
  };

  const sync = async (token: string, query: URLSearchParams): Promise<string> => {
    const since = Number(query.get("since") ?? -1);
    const limit = Number(/"limit":(\d+)/.exec(query.get("filter") ?? "")?.[1] ?? 100);
    const timeoutMs = Number(query.get("timeout") ?? 0);
    let parts = roomParts(rooms, { token, since, limit });
    if (parts.length === 0 && timeoutMs > 0) {
      await untilWoken(waiting, token, timeoutMs);
      parts = roomParts(rooms, { token, since, limit });
    }
    return `{"next_batch":"${position}","rooms":{"join":{${parts.join(",")}}}}`;
  };

  const answerInRoom = (room: NullRoom, third: string, asked: NullRequest): string => {
    const { path, query, body, token: sender } = asked;
    if (third === "messages") return page(room, query);
    if (third === "joined_members") {
      const members = [...room.members].map((member) => `"@${member}:null":{}`);
      return `{"joined":{${members.join(",")}}}`;
    }
    const type = third === "redact" ? "m.room.redaction" : (path.split("/")[7] ?? "");
    return store(room, { type, content: body, sender });
  };

  const routes: ReadonlyMap<string, (asked: NullRequest) => string | Promise<string>> = new Map<
    string,
    (asked: NullRequest) => string | Promise<string>
  >([
    ["", () => `{"versions":["v1.19"]}`],
    ["user", () => `{"filter_id":"0"}`],
    ["sync", async ({ token, query }) => await sync(token, query)],
    [
      "register",
      ({ body }) => {
        const { username: localpart } = username.parse(JSON.parse(body));
        return `{"user_id":"@${localpart}:null","access_token":"${localpart}"}`;
      },
    ],
    [
      "createRoom",
      ({ token }) => {
        const id = `!${rooms.size}`;
        rooms.set(id, { id, members: new Set([token]), events: [] });
        return `{"room_id":"${id}"}`;
      },
    ],
    [
      "joined_rooms",
      ({ token }) => {
        const joined = [...rooms.values()].filter(({ members }) => members.has(token));
        return JSON.stringify({ joined_rooms: joined.map(({ id }) => id) });
      },
    ],
  ]);

  const answer = async (asked: NullRequest): Promise<string | undefined> => {
    // "", "_matrix", "client", "v3", and from there on what is asked.
    const [first = "", second = "", third = ""] = asked.path.split("/").slice(4);
    const room = rooms.get(decodeURIComponent(second));
    if (first === "join" && room !== undefined) {
      room.members.add(asked.token);
      return "{}";
    }
    if (first === "rooms" && room !== undefined) return answerInRoom(room, third, asked);
    return await routes.get(first)?.(asked);
  };
  return { answer };
}

function roomParts(
  rooms: ReadonlyMap<string, NullRoom>,
  {
    token,
    since,
    limit,
  }: { readonly token: string; readonly since: number; readonly limit: number },
): string[] {
  const parts: string[] = [];
  for (const { id, members, events } of rooms.values()) {
    if (!members.has(token)) continue;
    let from = events.length;
    while (from > 0 && (events[from - 1]?.position ?? 0) > since) from -= 1;
    if (from === events.length && since >= 0) continue;
    const start = Math.max(from, events.length - limit);
    const timeline = events.slice(start);
    const before = (timeline[0]?.position ?? 1) - 1;
    parts.push(
      `"${id}":{"timeline":{"limited":${start > from},"prev_batch":"${before}",` +
        `"events":[${timeline.map(({ json }) => json).join(",")}]}}`,
    );
  }
  return parts;
}

function page({ events }: NullRoom, query: URLSearchParams): string {
  const from = Number(query.get("from"));
  const to = Number(query.get("to"));
  const limit = Number(query.get("limit"));
  const older = events.filter(({ position }) => position <= from && position > to);
  const chunk = older.slice(-limit).toReversed();
  const end = older.length > limit ? `,"end":"${(chunk.at(-1)?.position ?? 1) - 1}"` : "";
  return `{"chunk":[${chunk.map(({ json }) => json).join(",")}]${end}}`;
}

async function untilWoken(
  waiting: Map<string, Set<() => void>>,
  token: string,
  timeoutMs: number,
): Promise<void> {
  const wakers = waiting.get(token) ?? new Set();
  waiting.set(token, wakers);
  await new Promise<void>((resolve) => {
    const timer = setTimeout(done, timeoutMs);
    function done(): void {
      clearTimeout(timer);
      wakers.delete(done);
      resolve();
    }
    wakers.add(done);
  });
}
