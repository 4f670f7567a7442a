import { hash } from "node:crypto";
import type { LRUCache } from "lru-cache";
import { held } from "#src/homeserver/held.ts";
import type { Homeserver } from "#src/homeserver/homeserver.ts";
import type { UnixMs } from "#src/homeserver/position.ts";
import { lru } from "#src/kit/lru.ts";
import type { Requester } from "#src/kit/requester.ts";
import { tailOf } from "#src/streams/tail.ts";
import { ACCOUNTS } from "./accounts-stream.ts";

/** What an access token was found to be worth. */
export type KnownToken = {
  readonly requester: Requester;
  readonly expiresAtMs: UnixMs | undefined;
  readonly isLocked: boolean;
};

/**
 * By what somebody is known: by a token that they show, or as whom an application service speaks for. What is shown is never
 * taken for the latter, whatever is in it.
 */
export type ShownAs = `token ${string}` | `mask ${string}`;

/** The name of the stream of devices, whose changes here are those that are gone. */
const DEVICES = "devices";

/**
 * Access tokens that this process has asked the database about, so that a request costs no query. What
 * is said of devices and accounts on the streams, by any process, is forgotten here.
 */
export class TokenCache {
  readonly #known: LRUCache<string, KnownToken>;
  readonly #byUser = new Map<number, Set<string>>();
  /** At which epochs users were forgotten lately, and all of them. */
  readonly #forgotten = lru<number, number>(100_000);
  #allForgotten = 0;
  /** How often something was forgotten: who asked the database before that may have an old answer. */
  epoch = 0;

  constructor(most = 100_000) {
    this.#known = lru(most, {
      dispose: (token, key) => this.#unlist(token.requester.userKey, key),
    });
  }

  get(shown: ShownAs): KnownToken | undefined {
    return this.#known.get(keyOf(shown));
  }

  /** @param epoch as it was before the database was asked. */
  set(shown: ShownAs, known: KnownToken, epoch: number): void {
    if (epoch !== this.epoch) return;
    const key = keyOf(shown);
    const { userKey } = known.requester;
    this.#known.set(key, known);
    const keys = this.#byUser.get(userKey);
    if (keys) keys.add(key);
    else this.#byUser.set(userKey, new Set([key]));
  }

  forgetUser(userKey: number): void {
    this.epoch++;
    this.#forgotten.set(userKey, this.epoch);
    for (const key of this.#byUser.get(userKey) ?? []) this.#known.delete(key);
  }

  forgetAll(): void {
    this.epoch++;
    this.#allForgotten = this.epoch;
    this.#known.clear();
  }

  /** Whether something of a user may have changed since an epoch. */
  hasForgotten(userKey: number, epoch: number): boolean {
    return Math.max(this.#allForgotten, this.#forgotten.get(userKey) ?? 0) > epoch;
  }

  #unlist(userKey: number, key: string): void {
    const keys = this.#byUser.get(userKey);
    keys?.delete(key);
    if (keys?.size === 0) this.#byUser.delete(userKey);
  }
}

export const tokenCacheOf = held((hs: Homeserver): TokenCache => {
  const cache = new TokenCache();
  tailOf(hs).listen({
    changed(changes) {
      for (const { stream, userKey } of changes) {
        if (userKey !== undefined && (stream === ACCOUNTS || stream === DEVICES)) {
          cache.forgetUser(userKey);
        }
      }
    },
    missed: () => cache.forgetAll(),
  });
  return cache;
});

/** Not the token itself: what is in memory may end in a core dump. */
function keyOf(shown: ShownAs): string {
  return hash("sha256", shown, "base64");
}
