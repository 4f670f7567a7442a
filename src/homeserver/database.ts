import { randomBytes } from "node:crypto";
import type { Socket } from "node:net";
import postgres from "postgres";
import { ARRAY_TYPES } from "./array-types.ts";
import { databaseSocket } from "./database-socket.ts";
import { driverAddress } from "./database-url.ts";
import { type Dial, type Lane, type LaneOptions, openLane } from "./lane.ts";
import { resilientSql } from "./resilient-sql.ts";
import { PATIENCE, type Patience, SilentConnections } from "./silent-connections.ts";
import type { Sql } from "./sql.ts";

export type { Queryable, Sql, Tx } from "./sql.ts";

export type Database = {
  /** The pool. */
  readonly sql: Sql;
  /** One connection apart from the pool, for grouped writes. */
  readonly lane: Lane;
  readonly url: string;
  close(): Promise<void>;
};

/** PostgreSQL's `bigint` as a number: keys and positions stay far below 2⁵³. */
const INT8 = {
  to: 20,
  from: [20],
  serialize: (value: number) => String(value),
  parse: (value: string) => Number(value),
};

export type DatabaseOptions = {
  /** `postgres://…`; with `?host=` for a unix socket. */
  readonly url: string;
  /** Connections of the pool; the lane and the bus have one each besides. */
  readonly maxConnections: number;
  readonly patience?: Patience;
};

/** Opens a database. Connects when it is first asked something. */
export function openDatabase({ url, maxConnections, patience }: DatabaseOptions): Database {
  const sql = connect(url, maxConnections, patience);
  const lane = openLane((options) => open(url, options, patience));
  return {
    sql,
    lane,
    url,
    async close() {
      await Promise.all([sql.end({ timeout: 5 }), lane.end()]);
    },
  };
}

/** Connections with our types: for the pool and the bus. */
export function connect(url: string, max: number, patience?: Patience): Sql {
  return resilientSql(max, (onclose) => open(url, { max: 1, onclose }, patience));
}

/** How long a connection that could not be made waits before it is tried again. */
const RECONNECT_SECONDS = 0.1;

/** How long a transaction may have nothing said in it: far longer than any of ours takes. */
const STANDSTILL_MS = 30_000;

/** One connection of the pool. */
type ConnectionOptions = { readonly max: 1; readonly onclose: () => void };

function open(url: string, options: ConnectionOptions | LaneOptions, patience = PATIENCE): Sql {
  const name = `archipel ${randomBytes(4).toString("hex")}`;
  const silent = new SilentConnections(
    async () => await countRunning(url, name, patience),
    patience,
  );
  const { max, onclose, dialBy = (dial: Dial) => dial() } = { dialBy: undefined, ...options };
  const isNear = driverAddress(url).host?.startsWith("/") === true;
  const dial: Dial = (how) => {
    const socket = databaseSocket(url, how?.bufferBytes);
    // One within the machine is lost only with what is at its end, and closes then.
    return isNear ? socket : silent.watch(socket, how?.isWaitedFor);
  };
  return driver(url, { max, onclose, name, patience, socket: () => dialBy(dial) });
}

/** How many statements run, and have for a while, that came on connections of a name. */
async function countRunning(url: string, name: string, patience: Patience): Promise<number> {
  const sql = driver(url, { max: 1, name: "archipel", patience });
  try {
    const [row] = await sql<{ running: number }[]>`
      select count(*)::int as running from pg_stat_activity
      where application_name = ${name} and (state = 'disabled' or state = 'active'
        and wait_event_type is distinct from 'Client'
        and query_start < clock_timestamp() - ${patience.silentMs / 2} * interval '1 ms')`;
    return row?.running ?? 0;
  } finally {
    void sql.end({ timeout: 0 }).catch(() => {});
  }
}

/**
 * What the database, or its user, may have set for others: what we read and rely on is as PostgreSQL has it by itself. What
 * takes long is ours to end: a migration or a job that is cut off would begin anew for ever. All as texts, since the driver
 * leaves out a number that is 0.
 */
const FOR_US: Readonly<Record<string, string>> = {
  bytea_output: "hex",
  default_transaction_isolation: "read committed",
  statement_timeout: "0",
  lock_timeout: "0",
};

type DriverOptions = {
  readonly max: number;
  readonly onclose?: () => void;
  /** What the database knows the connections by. */
  readonly name: string;
  readonly patience: Patience;
  /** The driver knows this option; its types do not. */
  readonly socket?: () => Socket;
};

function driver(url: string, { name, patience, ...options }: DriverOptions): Sql {
  const address = driverAddress(url);
  return postgres(address.url, {
    ...(address.host !== undefined && { host: address.host }),
    ...(address.ssl !== undefined && { ssl: address.ssl }),
    ...options,
    connect_timeout: patience.connectSeconds,
    types: { int8: INT8, ...ARRAY_TYPES } as { int8: typeof INT8 },
    fetch_types: false,
    onnotice: () => {},
    // A connection is kept until it is lost: an end by age would look like a loss.
    max_lifetime: null,
    // The driver would wait up to 20 s, with statements in its queue, for a database that may be back by then.
    backoff: () => RECONNECT_SECONDS,
    connection: {
      application_name: name,
      ...FOR_US,
      // A process that stands still, or whose machine has died, holds what all others wait for: they can go on then.
      idle_in_transaction_session_timeout: STANDSTILL_MS,
      // Arrays of unknown length make PostgreSQL plan anew each time, for plans that come out the same.
      plan_cache_mode: "force_generic_plan",
      // Such a plan is made once, often while a table is small, and kept while it grows. What is asked here has
      // an index and few rows by it; so plans are by index, also where a small table would be read whole.
      enable_seqscan: "off",
      enable_hashjoin: "off",
      enable_mergejoin: "off",
      // While nobody knows how much a table holds, a page of a room was made by sorting the whole room, and indexes of all
      // rooms were read to be compared with one room's.
      enable_bitmapscan: "off",
      // Before version 18, a plan that reads a table whole all the same counts as so costly that it would be compiled,
      // for 80 ms each time.
      jit: "off",
    },
  });
}
