import { queryObjects } from "node:v8";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { type TestDatabase, testDatabase } from "#src/testing-database.ts";
import { isConnectionError } from "./connection-errors.ts";
import { openDatabase, type Tx } from "./database.ts";
import { type DatabaseGate, databaseGate } from "./testing.ts";

let database: TestDatabase;
let gate: DatabaseGate;

beforeAll(async () => {
  database = await testDatabase();
  gate = await databaseGate(database.url);
});
afterAll(async () => {
  await gate.close();
  await database.drop();
});

async function answered(work: Promise<unknown>): Promise<unknown> {
  return await work.then(
    () => "done",
    (error: unknown) => (isConnectionError(error) ? "connection lost" : error),
  );
}

describe("a lane", () => {
  test("refuses while there is no database, and works again when there is", async () => {
    const opened = openDatabase({ url: gate.url, maxConnections: 2 });
    const write = async () =>
      await answered(opened.lane.transaction(async (tx) => await tx`select 1`));
    // Several at a time: one that cannot connect must not leave the others waiting.
    const writes = async () => await Promise.all([write(), write(), write()]);

    expect(await writes()).toEqual(Array(3).fill("connection lost"));
    await gate.open();
    expect(await write()).toBe("done");
    await gate.close();
    expect(await write()).toBe("connection lost");
    expect(await writes()).toEqual(Array(3).fill("connection lost"));
    await gate.open();
    await expect.poll(write).toBe("done");
    await opened.close();
  });

  test("lets others go on where a process stands still in the middle of a transaction", async () => {
    const options = { url: database.url, maxConnections: 2 };
    const [still, other] = [openDatabase(options), openDatabase(options)];
    await database.sql`create table held (n int)`;
    await database.sql`insert into held values (0)`;
    const transactions = {
      lane: async (work: (tx: Tx) => Promise<unknown>) => await still.lane.transaction(work),
      pool: async (work: (tx: Tx) => Promise<unknown>) => await still.sql.begin(work),
    };
    for (const begin of Object.values(transactions)) {
      const [set] = (await begin(async (tx) => {
        return await tx`select current_setting('idle_in_transaction_session_timeout') as wait`;
      })) as { wait: string }[];
      expect(set?.wait).toBe("30s");
      const { promise: holds, resolve: isHeld } = Promise.withResolvers<void>();
      const { promise: goesOn, resolve: goOn } = Promise.withResolvers<void>();
      const stalled = answered(
        begin(async (tx) => {
          // It need not take that long here.
          await tx`set local idle_in_transaction_session_timeout = 100`;
          await tx`update held set n = 1`;
          isHeld();
          await goesOn;
          await tx`update held set n = 2`;
        }),
      );
      await holds;
      await other.lane.transaction(async (tx) => await tx`update held set n = 3`);
      goOn();
      expect(await stalled).not.toBe("done");
      expect(await database.sql`select n from held`).toEqual([{ n: 3 }]);
      const again = async () => await answered(begin(async (tx) => await tx`select 1`));
      await expect.poll(again).toBe("done");
    }
    await Promise.all([still.close(), other.close()]);
  });

  test("refuses what was on its way when the connection is lost, and repeats none of it", async () => {
    await gate.open();
    const opened = openDatabase({ url: gate.url, maxConnections: 2 });
    await database.sql`create table counted (n int)`;
    const lost = answered(
      opened.lane.transaction(async (tx) => {
        void tx`insert into counted values (1)`;
        await tx`select pg_sleep(0.2)`;
        await gate.close();
        await tx`insert into counted values (2)`;
      }),
    );
    expect(await lost).toBe("connection lost");
    await gate.open();
    expect(await answered(opened.lane.transaction(async (tx) => await tx`select 1`))).toBe("done");
    expect(await database.sql`select n from counted`).toEqual([]);
    await opened.close();
  });

  test("takes back what it has done where its work fails by the loss of another connection", async () => {
    const options = { url: database.url, maxConnections: 2 };
    const [opened, other] = [openDatabase(options), openDatabase(options)];
    await database.sql`create table kept (n int)`;
    const failed = opened.lane.transaction(async (tx) => {
      await tx`insert into kept values (1)`;
      await other.sql`select pg_terminate_backend(pg_backend_pid())`;
    });
    expect(await answered(failed)).toBe("connection lost");
    const idle = await database.sql`
      select from pg_stat_activity where datname = current_database() and state like 'idle in transaction%'`;
    expect(idle).toHaveLength(0);
    await opened.lane.transaction(async (tx) => await tx`insert into kept values (2)`);
    expect(await database.sql`select n from kept`).toEqual([{ n: 2 }]);
    await Promise.all([opened.close(), other.close()]);
  });

  test("stores nothing of what goes on after its transaction has failed", async () => {
    const opened = openDatabase({ url: database.url, maxConnections: 2 });
    await database.sql`create table noted (n int)`;
    const transactions = {
      lane: async (work: (tx: Tx) => Promise<unknown>) => await opened.lane.transaction(work),
      pool: async (work: (tx: Tx) => Promise<unknown>) => await opened.sql.begin(work),
    };
    for (const begin of Object.values(transactions)) {
      const { promise: rest, resolve: isRest } = Promise.withResolvers<unknown>();
      const notes = async (tx: Tx) => {
        for (let n = 0; n < 20; n++) await tx`insert into noted values (${n})`;
      };
      const failed = begin(async (tx) => {
        const noting = answered(notes(tx));
        isRest(noting);
        await tx`select 1`;
        throw new Error("not so");
      });
      expect(await answered(failed)).toEqual(new Error("not so"));
      // What follows on the same connection has nothing to do with it.
      await begin(async (tx) => await tx`select pg_sleep(0.1)`);
      expect(await rest).toEqual(new Error("The transaction is over"));
      expect(await database.sql`select n from noted`).toEqual([]);
    }
    await opened.close();
  });

  test("keeps nothing of what is over for as long as the connection is there", async () => {
    const opened = openDatabase({ url: database.url, maxConnections: 2 });
    const ask = async () => {
      for (let index = 0; index < 200; index++) {
        await opened.lane.statement(async (sql) => await sql`select 1`);
        await opened.lane.transaction(async (tx) => await tx`select 1`);
      }
    };
    const promises = () => queryObjects(Promise, { format: "count" });
    await ask();
    const before = promises();
    await ask();
    expect(promises() - before).toBeLessThan(100);
    await opened.close();
  });
});
