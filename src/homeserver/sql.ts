import type postgres from "postgres";

/** The pool, or a transaction on one of its connections. Queries are written on it as templates. */
export type Sql = postgres.Sql<{ int8: number }>;

/** A transaction. What writes takes this, so that no write can happen outside one. */
export type Tx = postgres.TransactionSql<{ int8: number }>;

/** Whatever can be asked: the pool or a transaction. What only reads takes this. */
export type Queryable = Sql | Tx;
