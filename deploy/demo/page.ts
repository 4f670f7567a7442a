import { once } from "node:events";
import { createServer } from "node:http";
import { type Holdings, type StoredRow, storedEvents } from "./stored-events.ts";
import type { Subsidiary } from "./subsidiary.ts";

/** A page that shows, as it is at the moment, which events lie in whose database. */
export type Page = { readonly url: string; close(): Promise<void> };

const STYLE = `body{font:15px/1.5 system-ui;margin:2rem auto;max-width:60rem;padding:0 1rem}table{border-collapse:collapse;width:100%;margin-bottom:2rem}
th,td{text-align:left;padding:.2rem .6rem;border-bottom:1px solid #ddd}th.at,td.at{text-align:center;width:6rem}.down{color:#b00}small{color:#666}`;

/** @param rooms the rooms by their IDs, with their names: more may come. */
export async function servePage(
  subsidiaries: readonly Subsidiary[],
  rooms: ReadonlyMap<string, string>,
): Promise<Page> {
  const server = createServer((_, response) => {
    storedEvents(subsidiaries).then(
      (holdings) => {
        response.setHeader("content-type", "text/html; charset=utf-8");
        response.end(htmlOf(subsidiaries, rooms, holdings));
      },
      (error: unknown) => {
        response.statusCode = 503;
        response.end(String(error));
      },
    );
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  const address = server.address();
  const port = typeof address === "object" && address !== null ? address.port : 0;
  return {
    url: `http://127.0.0.1:${port}`,
    async close() {
      const closed = once(server, "close");
      server.close();
      server.closeAllConnections();
      await closed;
    },
  };
}

function htmlOf(
  subsidiaries: readonly Subsidiary[],
  rooms: ReadonlyMap<string, string>,
  holdings: Holdings,
): string {
  const heads = subsidiaries.map(({ city, pid }) =>
    pid === undefined ? `<th class="at down">${city} is down</th>` : `<th class="at">${city}</th>`,
  );
  const tables = [...rooms].map(([roomId, name]) => {
    const rows = eventsOf(holdings, roomId).map((row) => {
      const marks = subsidiaries.map((one) => {
        const isThere = holdings.get(one)?.has(row.eventId) === true;
        return `<td class="at">${isThere ? "●" : ""}</td>`;
      });
      const when = new Date(row.sentMs).toLocaleTimeString();
      const what = `${escaped(row.type)} <small>${escaped(row.sender)} ${when}</small>`;
      return `<tr><td>${what}</td>${marks.join("")}</tr>`;
    });
    return `<h2>${escaped(name)} <small>${escaped(roomId)}</small></h2>
<table><tr><th>event</th>${heads.join("")}</tr>${rows.join("\n")}</table>`;
  });
  return `<!doctype html><html lang="en"><meta charset="utf-8"><meta http-equiv="refresh" content="1">
<title>Which events lie where</title><style>${STYLE}</style>
<h1>Which events lie in whose database</h1>${tables.join("\n")}</html>`;
}

/** Every event of a room that any database has, in the order in which they were sent. */
function eventsOf(holdings: Holdings, roomId: string): StoredRow[] {
  const all = new Map([...holdings.values()].flatMap((rows) => [...rows]));
  return [...all.values()]
    .filter((row) => row.roomId === roomId)
    .toSorted((a, b) => a.sentMs - b.sentMs);
}

function escaped(text: string): string {
  return text.replace(/[&<>"']/g, (it) => `&#${it.charCodeAt(0)};`);
}
