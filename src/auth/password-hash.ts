import { availableParallelism } from "node:os";
import { hash, verify } from "@node-rs/argon2";
import { held } from "#src/homeserver/held.ts";
import type { Homeserver } from "#src/homeserver/homeserver.ts";
import { MatrixError } from "#src/kit/matrix-error.ts";
import { Turns } from "#src/kit/turns.ts";

/**
 * How many passwords are hashed at once. The work is done by the threads that also read files and
 * look up names, of which there are four: half of them stay free, and half of the cores for those who wait for an answer.
 */
const AT_ONCE = Math.min(2, Math.max(1, Math.floor(availableParallelism() / 2)));
const MOST_WAITING = 200;

/** Longer than any password; shorter than what would make its hashing a burden. In UTF-16 units. */
const MOST_LENGTH = 1024;

const ARGON2ID = 2;

type Hashing = {
  readonly turns: Turns;
  /** A hash that no password has, to be checked where there is none: that must take as long. */
  readonly ofNobody: Promise<string>;
};

const hashingOf = held((hs): Hashing => ({
  turns: new Turns(AT_ONCE, MOST_WAITING),
  ofNobody: hash(crypto.randomUUID(), costOf(hs)),
}));

/**
 * Hashes a new password with Argon2id, at the configured cost.
 *
 * @throws MatrixError M_WEAK_PASSWORD if it is shorter than configured, M_INVALID_PARAM if it is over
 *   1024 characters, M_LIMIT_EXCEEDED if too many wait for the same.
 */
export async function hashPassword(hs: Homeserver, password: string): Promise<string> {
  requireGoodPassword(hs, password);
  return await inTurn(hs, async () => await hash(normalised(password), costOf(hs)));
}

/**
 * Refuses a new password that would not do, before anything else is done.
 *
 * @throws MatrixError M_WEAK_PASSWORD if it is too short, M_INVALID_PARAM if it is too long.
 */
export function requireGoodPassword(hs: Homeserver, password: string): void {
  const { minLength } = hs.config.passwords;
  if (password.length < minLength) {
    throw new MatrixError("M_WEAK_PASSWORD", `A password has at least ${minLength} characters`);
  }
  if (password.length > MOST_LENGTH) {
    throw new MatrixError("M_INVALID_PARAM", `A password has at most ${MOST_LENGTH} characters`);
  }
}

/**
 * Whether a password is the one that was hashed. Without a hash the answer is no, after the same time.
 *
 * @throws MatrixError M_LIMIT_EXCEEDED if too many wait for the same.
 */
export async function matchesHash(
  hs: Homeserver,
  password: string,
  passwordHash: string | undefined,
): Promise<boolean> {
  const known = passwordHash ?? (await hashingOf(hs).ofNobody);
  const text = normalised(password.slice(0, MOST_LENGTH + 1));
  const matches = await inTurn(hs, async () => await verify(known, text));
  return matches && passwordHash !== undefined && password.length <= MOST_LENGTH;
}

/** The same characters, however a keyboard composes them. */
function normalised(password: string): string {
  return password.normalize("NFKC");
}

function costOf(hs: Homeserver) {
  const { argon2MemoryKiB, argon2Iterations } = hs.config.passwords;
  return {
    algorithm: ARGON2ID,
    memoryCost: argon2MemoryKiB,
    timeCost: argon2Iterations,
    parallelism: 1,
  };
}

async function inTurn<T>(hs: Homeserver, work: () => Promise<T>): Promise<T> {
  const turn = await hashingOf(hs).turns.take(work);
  if (turn) return turn.done;
  throw new MatrixError("M_LIMIT_EXCEEDED", "Too many passwords are being checked", {
    fields: { retry_after_ms: 2000 },
  });
}
