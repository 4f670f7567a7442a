import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { isDatabaseAway } from "#src/homeserver/connection-errors.ts";
import type { Homeserver } from "#src/homeserver/homeserver.ts";
import { openHomeserver } from "#src/open-homeserver.ts";
import { testHomeservers, type TestHomeservers } from "#src/testing.ts";
import type { Change, Stream } from "./stream.ts";
import { currentPosition, Tail, tailOf } from "./tail.ts";
import { write } from "./write.ts";

/** What a writer wants written; the odd ones are refused, and some the database itself refuses. */
type Note = { readonly text: string; readonly fate?: "refused" | "impossible" };

/** A stream as simple as can be, on a table of this test's own. */
const notes: Stream<Note, number> = {
  name: "notes",
  positionsFor: ({ text }) => 1 + (text.length % 3),
  async store(_hs, lane, placed) {
    const kept = placed.filter((it) => it.write.fate !== "refused");
    await lane`
      insert into notes (position, text) select * from unnest(
        ${kept.map((it) => it.position)}::bigint[],
        ${kept.map((it) => (it.write.fate === "impossible" ? null : it.write.text))}::text[])`;
    return placed.map(({ position, write: { fate } }) =>
      fate === "refused"
        ? { ok: false, error: new Error("refused") }
        : { ok: true, result: position, changes: [{ position, stream: "notes" }] },
    );
  },
  async changesBetween(sql, after, upTo) {
    const rows = await sql<{ position: number }[]>`
      select position from notes where position > ${after} and position <= ${upTo} order by position`;
    return rows.map(({ position }) => ({ position, stream: "notes" }));
  },
};

let servers: TestHomeservers;
let followers: { hs: Homeserver; tail: Tail; heard: Change[]; upTo: number[] }[];

beforeAll(async () => {
  servers = await testHomeservers(3);
  await servers.hs.sql`create table notes (position bigint primary key, text text not null)`;
  followers = [];
  for (const hs of servers.all) {
    // The server's own tail follows the program's streams; these follow the test's as well.
    const tail = new Tail(hs);
    const heard: Change[] = [];
    const upTo: number[] = [];
    tail.listen({
      changed: (changes, position) => {
        heard.push(...changes);
        upTo.push(position);
      },
      missed: () => heard.push({ position: -1, stream: "missed" }),
    });
    await tail.start([notes]);
    followers.push({ hs, tail, heard, upTo });
  }
});
afterAll(async () => await servers.close());

async function stored(): Promise<number[]> {
  const rows = await servers.hs.sql<
    { position: number }[]
  >`select position from notes order by position`;
  return rows.map((it) => it.position);
}

/** Reads as a client would: from where it has read to what is there now. */
async function readUntil(hs: Homeserver, done: () => boolean): Promise<number[]> {
  const seen: number[] = [];
  let at = 0;
  for (let last = false; !last;) {
    last = done();
    const position = await currentPosition(hs);
    const changes = await notes.changesBetween(hs.sql, at, position);
    seen.push(...changes.map((it) => it.position));
    at = position;
    await new Promise((resolve) => setTimeout(resolve, 2));
  }
  return seen;
}

describe("the streams", () => {
  test("show every row once and in order to readers, while three processes write", async () => {
    let written = false;
    const reading = servers.all.map(async (hs) => await readUntil(hs, () => written));
    const outcomes = await Promise.allSettled(
      Array.from({ length: 600 }, async (_, index) => {
        await new Promise((resolve) => setTimeout(resolve, Math.random() * 300));
        const hs = servers.all[index % 3] ?? servers.hs;
        const fate = index % 17 === 0 ? "refused" : index % 41 === 0 ? "impossible" : undefined;
        return await write(hs, notes, { text: `note ${index}`, ...(fate && { fate }) });
      }),
    );
    written = true;
    const results = outcomes.flatMap((it) => (it.status === "fulfilled" ? [it.value] : []));
    const all = await stored();
    expect(all).toEqual(results.toSorted((a, b) => a - b));
    expect(outcomes.filter((it) => it.status === "rejected")).toHaveLength(
      Array.from({ length: 600 }, (_, i) => i).filter((i) => i % 17 === 0 || i % 41 === 0).length,
    );
    for (const seen of await Promise.all(reading)) expect(seen).toEqual(all);

    for (const { tail, heard, upTo } of followers) {
      await tail.catchUp();
      expect(heard.map((it) => it.position)).toEqual(all);
      expect(upTo).toEqual(upTo.toSorted((a, b) => a - b));
    }
  });

  test("commit what can wait with others, or with what cannot", async () => {
    const groups: string[][] = [];
    const patient: Stream<Note, number> = {
      ...notes,
      patienceMs: 60_000,
      async store(hs, lane, placed, looked) {
        groups.push(placed.map((it) => it.write.text));
        return await notes.store(hs, lane, placed, looked);
      },
    };
    const slow = [
      write(servers.hs, patient, { text: "a" }),
      write(servers.hs, patient, { text: "b" }),
    ];
    await new Promise((resolve) => setTimeout(resolve, 20));
    expect(groups).toEqual([]);
    await write(servers.hs, notes, { text: "at once" });
    await Promise.all(slow);
    expect(groups).toEqual([["a", "b"]]);
    await write(servers.hs, { ...patient, patienceMs: 1 }, { text: "alone" });
    expect(groups).toEqual([["a", "b"], ["alone"]]);
  });

  test("store nothing twice, and tell everybody, whatever fails once it is durable", async () => {
    const { hs } = servers;
    const isOurs = (it: Change) => it.stream === "failing";
    const missed: string[] = [];
    const heard: Change[] = [];
    tailOf(hs).listen({
      changed(changes) {
        if (changes.some(isOurs)) throw new Error("cannot hear");
      },
      missed: () => missed.push("missed"),
    });
    tailOf(hs).listen({
      changed: (changes) => heard.push(...changes.filter(isOurs)),
      missed: () => missed.push("missed, too"),
    });
    const failing: Stream<Note, number> = {
      ...notes,
      name: "failing",
      async store(its, lane, placed, looked) {
        const outcomes = await notes.store(its, lane, placed, looked);
        return outcomes.map((it) =>
          it.ok ? { ...it, changes: it.changes.map((own) => ({ ...own, stream: "failing" })) } : it,
        );
      },
      committed() {
        throw new Error("cannot take note");
      },
    };
    // What was written by others before is not to be read with it.
    await tailOf(hs).catchUp();
    const texts = ["durable, one", "durable, two"];
    const positions = await Promise.all(
      texts.map(async (text) => await write(hs, failing, { text })),
    );
    const rows = await hs.sql<{ position: number }[]>`
      select position from notes where text like 'durable, %' order by position`;
    expect(rows.map((it) => it.position)).toEqual(positions);
    expect(heard.map((it) => it.position)).toEqual(positions);
    expect(missed).toEqual(["missed"]);
  });

  test("store what the database refused only because another transaction and it waited for each other", async () => {
    const { hs } = servers;
    await hs.sql`create table pairs (name text primary key, at timestamptz)`;
    await hs.sql`insert into pairs (name) values ('one'), ('other')`;
    const crossing: Stream<Note, number> = {
      ...notes,
      async store(_hs, lane, placed, looked) {
        await lane`set local deadlock_timeout = '3s'`;
        await lane`update pairs set at = now() where name = 'one'`;
        await lane`update pairs set at = now() where name = 'other'`;
        return await notes.store(_hs, lane, placed, looked);
      },
    };
    const { promise: position, resolve } = Promise.withResolvers<number>();
    await hs.sql.begin(async (tx) => {
      await tx`set local deadlock_timeout = '1min'`;
      await tx`update pairs set at = now() where name = 'other'`;
      resolve(write(hs, crossing, { text: "crossing" }));
      // PostgreSQL gives up on whoever has waited their time, and that is the write, if it is not over before both wait.
      const waiting = async () =>
        await hs.sql`
        select from pg_stat_activity where datname = current_database() and wait_event_type = 'Lock'`;
      await expect.poll(waiting, { timeout: 20_000 }).toHaveLength(1);
      await tx`update pairs set at = now() where name = 'one'`;
    });
    const at = await position;
    expect(await stored()).toContain(at);
  });

  test("are known to whoever reads after a write has returned", async () => {
    for (let index = 0; index < 20; index++) {
      const hs = servers.all[index % 3] ?? servers.hs;
      const position = await write(hs, notes, { text: "mine" });
      expect(tailOf(hs).position).toBeGreaterThanOrEqual(position);
    }
  });

  test("are caught up with while another process writes on and on", async () => {
    const [reader, writer] = [servers.hs, servers.all[1] ?? servers.hs];
    const tail = new Tail(reader);
    let reads = 0;
    const busy: Stream<Note, number> = {
      ...notes,
      async changesBetween(sql, after, upTo) {
        reads++;
        const changes = await notes.changesBetween(sql, after, upTo);
        // While it is read there is more, and somebody else who wants to know of it.
        if (reads < 30) {
          await write(writer, notes, { text: "on and on" });
          void tail.catchUp();
          await new Promise((resolve) => setTimeout(resolve, 20));
        }
        return changes;
      },
    };
    await tail.start([busy]);
    await write(writer, notes, { text: "one" });
    const before = reads;
    await tail.catchUp();
    expect(reads - before).toBeLessThan(5);
    await expect.poll(() => reads, { timeout: 20_000 }).toBeGreaterThanOrEqual(30);
  });

  test("are read on another connection where one leads nowhere", async () => {
    const { hs } = servers;
    let isDead = { asking: true, reading: true };
    const never = new Promise<never>(() => {});
    const sql = new Proxy(hs.sql, {
      apply(target, self, args) {
        if (isDead.asking) return never;
        return Reflect.apply(target, self, args) as unknown;
      },
    });
    const stream: Stream<Note, number> = {
      ...notes,
      changesBetween: async (db, after, upTo) =>
        isDead.reading ? await never : await notes.changesBetween(db, after, upTo),
    };
    const tail = new Tail({ ...hs, sql }, 1_000);
    const heard: Change[] = [];
    tail.listen({ changed: (changes) => heard.push(...changes), missed() {} });
    isDead.asking = false;
    await tail.start([stream]);
    const position = await write(hs, notes, { text: "news" });
    isDead = { asking: true, reading: true };
    await expect(tail.catchUp()).rejects.toSatisfy(isDatabaseAway);
    isDead = { asking: false, reading: true };
    await expect(tail.catchUp()).rejects.toSatisfy(isDatabaseAway);
    isDead.reading = false;
    await tail.catchUp();
    expect(heard.map((it) => it.position)).toEqual([position]);
  });

  test("keep nothing that was not acknowledged when a connection is cut in the middle", async () => {
    const opened = await openHomeserver(servers.hs.config, {
      databaseUrl: servers.database.url,
      log: servers.hs.log,
    });
    const cut = setInterval(() => {
      void servers.hs.sql`
        select pg_terminate_backend(pid) from pg_stat_activity
        where datname = current_database() and application_name like 'archipel %'
          and state like 'idle in transaction%'`.catch(() => {});
    }, 5);
    const acknowledged: number[] = [];
    for (let index = 0; index < 300; index++) {
      const one = write(opened.hs, notes, { text: `cut ${index}` });
      await one.then(
        (position) => acknowledged.push(position),
        () => {},
      );
    }
    clearInterval(cut);
    const all = new Set(await stored());
    expect(acknowledged.filter((it) => !all.has(it))).toEqual([]);
    expect(acknowledged.length).toBeGreaterThan(0);
    await opened.close();
  });
});
