import type { Logger } from "pino";
import type { Config } from "#src/config/config.ts";
import type { ServerName } from "#src/kit/identifiers.ts";
import type { SigningKey } from "#src/kit/signed-json.ts";
import type { Bus } from "./bus.ts";
import type { Sql } from "./database.ts";
import type { Lane } from "./lane.ts";
import type { UnixMs } from "./position.ts";
import type { Remotes } from "./remotes.ts";

/**
 * What a process holds open or was told at its start: resources, never services. A domain function
 * is called by importing it, so that the imports of a file are all it depends on.
 */
export type Homeserver = {
  readonly name: ServerName;
  readonly config: Config;
  /** The pool. A function that has asked for one of its connections never waits for a second. */
  readonly sql: Sql;
  /** The connection of grouped writes; only `src/streams/` uses it. */
  readonly lane: Lane;
  readonly bus: Bus;
  /** The key to sign with now. Another one after a rotation: ask each time. */
  readonly signingKey: SigningKey;
  /** Other homeservers: what `federation/client/` asks them. */
  readonly remotes: Remotes;
  readonly log: Logger;
  readonly now: () => UnixMs;
  /** Aborted when the process begins to stop. */
  readonly stopping: AbortSignal;
};
