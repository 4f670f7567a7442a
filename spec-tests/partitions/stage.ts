import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { DatabaseSync } from "node:sqlite";
import pino from "pino";
import { connect, type Sql } from "#src/homeserver/database.ts";
import { startEmbeddedPostgres } from "#src/homeserver/embedded-postgres.ts";
import type { CanonicalObject } from "#src/kit/canonical-json.ts";
import { testAuthority } from "#src/outbound/testing.ts";
import { onDatabase } from "#src/testing-database.ts";
import { startBalancer } from "../balancer.ts";
import { startHomeserver } from "../homeserver-under-test.ts";
import { Dice } from "../oracle/dice.ts";
import { startSynapse } from "../synapse-under-test.ts";
import { registerUser as registerAt, type TestUser } from "../test-user.ts";
import { FaultyNetwork } from "./faulty-network.ts";

/** How a server keeps an event. */
export type Kept = {
  readonly standing: "shown" | "soft-failed" | "rejected" | "outlier" | "untold";
  /** Whether it came after what follows it was there already; or, as a redaction, what it redacts. */
  readonly isLate: boolean;
  /** The event as servers exchange it. */
  readonly pdu: CanonicalObject & {
    readonly sender: string;
    readonly hashes: { readonly sha256: string };
  };
};

/** A server on the stage. */
export type Player = {
  readonly name: string;
  /** Where its clients find it. */
  readonly url: string;
  readonly isOurs: boolean;
  registerUser(name: string): Promise<TestUser>;
  /** The events of a room, by their IDs: read from its database, since clients are not told of all. */
  keptOf(roomId: string): Promise<ReadonlyMap<string, Kept>>;
  /** What it knows that it lacks in a room, and when it tries next to get it; of one that is not ours nothing. */
  lacksIn(roomId: string): Promise<readonly string[]>;
};

/** Three homeservers of ours and a Synapse, with a network between them that does as it is told. */
export type Stage = {
  readonly network: FaultyNetwork;
  readonly players: readonly Player[];
  /** What the Synapse has said lately of state that it could not have, or could not go on from: it goes on without. */
  synapsesDoubts(): readonly string[];
  close(): Promise<void>;
};

const OURS = 3;

/** So that what was cut is soon tried again. */
const SYNAPSES = {
  federation: {
    destination_min_retry_interval: 300,
    destination_retry_multiplier: 1,
    destination_max_retry_interval: 300,
  },
};
const ENV = {
  ARCHIPEL_FEDERATION_MAX_RETRY_WAIT_MS: "300",
  ARCHIPEL_FEDERATION_REQUEST_TIMEOUT_MS: "15000",
};

/** Starts everything. @param processes of how many each of ours is, on one database. */
export async function openStage({ processes = 1 } = {}): Promise<Stage> {
  const directory = mkdtempSync(join(tmpdir(), "archipel-partitions-"));
  const closes: (() => unknown)[] = [() => rmSync(directory, { recursive: true, force: true })];
  const close = async () => {
    for (const it of closes.splice(0).reverse()) await it();
  };
  try {
    const authority = testAuthority(directory);
    const network = new FaultyNetwork(authority, new Dice(0));
    closes.push(async () => await network.close());
    const log = pino({ level: "warn" }, pino.destination(2));
    const postgres = await startEmbeddedPostgres({ dataDir: directory, log, durable: false });
    closes.push(async () => await postgres.stop());
    const admin = connect(postgres.url, 1);
    closes.push(async () => await admin.end());

    const startOurs = async (index: number): Promise<Player> => {
      const database = `partitions_${index}`;
      await admin`create database ${admin(database)}`;
      const databaseUrl = onDatabase(postgres.url, database);
      const name = await network.open();
      const given = { SERVER_NAME: name, CA_CERT: authority.caFile, DATABASE_URL: databaseUrl };
      const urls: string[] = [];
      for (let nth = 0; nth < processes; nth++) {
        // One after the other: the first makes the tables.
        const server = await startHomeserver({ env: { ...ENV, ...given } });
        closes.push(async () => await server.dispose());
        urls.push(server.url);
      }
      const url = await inFrontOf(urls, closes);
      const registerUser = async (user: string) => await registerAt(url, user);
      network.lead(name, url);
      const sql = connect(databaseUrl, 1);
      closes.push(async () => await sql.end());
      const keptOf = async (roomId: string) => await keptByOurs(sql, roomId);
      const lacksIn = async (roomId: string) =>
        (await lackedByOurs(sql, roomId)).map((it) => `${name} ${it}`);
      return { name, url, isOurs: true, registerUser, keptOf, lacksIn };
    };
    let synapsesLog = "";
    const startTheirs = async (): Promise<Player> => {
      const serverName = await network.open();
      const synapse = await startSynapse({
        serverName,
        caFile: authority.caFile,
        settings: SYNAPSES,
      });
      closes.push(async () => await synapse.dispose());
      const { url, databaseFile } = synapse;
      synapsesLog = synapse.logFile;
      const registerUser = async (user: string) => await synapse.registerUser(user);
      network.lead(serverName, url);
      const keptOf = async (roomId: string) =>
        await Promise.resolve(keptBySynapse(databaseFile, roomId));
      const lacksIn = async () => await Promise.resolve([]);
      return { name: serverName, url, isOurs: false, registerUser, keptOf, lacksIn };
    };

    const ours = Array.from({ length: OURS }, (_, index) => startOurs(index));
    const started = await Promise.allSettled([...ours, startTheirs()]);
    const players = started.map((it) => {
      if (it.status === "rejected") throw it.reason;
      return it.value;
    });
    const synapsesDoubts = () => doubtsIn(readFileSync(synapsesLog, "utf8"));
    return { network, players, synapsesDoubts, close };
  } catch (error) {
    await close();
    throw error;
  }
}

/** So many lines of a log are said again, and so much of each. */
const MOST_DOUBTS = 30;
const MOST_CHARACTERS = 400;

function doubtsIn(log: string): string[] {
  const isOne = (line: string) =>
    /Failed to fetch missing state|failed history check|attempting to resolve/.test(line);
  const lines = log.split("\n").filter(isOne).slice(-MOST_DOUBTS);
  return lines.map((line) => `Synapse said: ${line.slice(0, MOST_CHARACTERS)}`);
}

/** Where to find a homeserver that is at some addresses. */
async function inFrontOf(urls: readonly string[], closes: (() => unknown)[]): Promise<string> {
  const [only] = urls;
  if (only !== undefined && urls.length === 1) return only;
  const balancer = await startBalancer(urls);
  closes.push(() => balancer.close());
  return balancer.url;
}

async function keptByOurs(sql: Sql, roomId: string): Promise<Map<string, Kept>> {
  const rows = await sql<{ id: string; status: number; isLate: boolean; json: string }[]>`
    select event_id as id, status, json, anchor_offset <> 0
        or type = 'm.room.redaction' and placed_at is not null as "isLate"
    from events join rooms using (room_key) where room_id = ${roomId}`;
  const standings = ["shown", "soft-failed", "rejected", "outlier", "untold"] as const;
  return new Map(
    rows.map(({ id, status, isLate, json }) => {
      const standing = standings[status];
      if (standing === undefined) throw new Error(`${id} has the status ${status}`);
      return [id, { standing, isLate, pdu: JSON.parse(json) }];
    }),
  );
}

async function lackedByOurs(sql: Sql, roomId: string): Promise<string[]> {
  const rows = await sql<{ what: string; of: string | null; failures: number; inMs: number }[]>`
    with room as (select room_key from rooms where room_id = ${roomId}),
    now as (select (extract(epoch from clock_timestamp()) * 1000)::bigint as ms)
    select case when owed then 'misses ' else 'misses from before ' end || missing_id as what,
      event_id || case when anchor is null then ', which waits for it' else '' end as of, failures,
      due_ms - ms as "inMs"
    from missing_events join room using (room_key) join events using (event_key), now
    union all
    select 'cannot judge ' || event_id, origin, failures, due_ms - ms
    from unsettled_pdus join room using (room_key), now`;
  return rows.map(
    ({ what, of, failures, inMs }) =>
      `${what} (of ${of}), tried ${failures} times, again in ${inMs} ms`,
  );
}

function keptBySynapse(databaseFile: string, roomId: string): Map<string, Kept> {
  const database = new DatabaseSync(databaseFile, { readOnly: true, timeout: 10_000 });
  try {
    const rows = database
      .prepare(
        `select event_id as id, outlier, rejection_reason is not null as rejected, internal_metadata as metadata, json
         from events join event_json using (event_id) where events.room_id = ?`,
      )
      .all(roomId);
    return new Map(
      rows.map(({ id, outlier, rejected, metadata, json }) => {
        const isSoftFailed = JSON.parse(String(metadata)).soft_failed === true;
        const accepted = isSoftFailed ? "soft-failed" : outlier ? "outlier" : "shown";
        const pdu = JSON.parse(String(json));
        const standing = rejected ? "rejected" : accepted;
        return [String(id), { standing, isLate: false, pdu }];
      }),
    );
  } finally {
    database.close();
  }
}
