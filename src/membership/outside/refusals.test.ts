import { afterAll, beforeAll, describe, expect, test } from "vitest";
import type { ServerName } from "#src/kit/identifiers.ts";
import { type Errcode, MatrixError } from "#src/kit/matrix-error.ts";
import { testHomeservers, type TestHomeservers } from "#src/testing.ts";
import { throughOneOf, unhelpful } from "./refusals.ts";

let servers: TestHomeservers;

beforeAll(async () => {
  servers = await testHomeservers(1);
});
afterAll(async () => await servers.close());

const [NAMED, OTHER] = ["named.test", "other.test"] as ServerName[] as [ServerName, ServerName];
const FORBIDDEN = new MatrixError("M_FORBIDDEN", "no");
const UNKNOWN = new MatrixError("M_NOT_FOUND", "never heard of it");
const AWAY = unhelpful(NAMED, "cannot be reached");

/** Asks one server that a client has named, and one that it has not. */
async function asked(refusals: readonly (MatrixError | undefined)[]) {
  const names: ServerName[] = [];
  const through = await throughOneOf(
    servers.hs,
    { first: [NAMED], others: [OTHER] },
    async (server) => {
      names.push(server);
      const refusal = refusals[names.length - 1];
      if (refusal) throw refusal;
      return await Promise.resolve(server);
    },
  ).catch((error: unknown) => (error as MatrixError).errcode);
  return { names, through };
}

describe("a server that nobody has named", () => {
  test.each([
    ["does not know the room", UNKNOWN],
    ["cannot be reached", AWAY],
  ])("is asked if the one that was named %s", async (_, refusal) => {
    expect(await asked([refusal])).toEqual({ names: [NAMED, OTHER], through: OTHER });
  });

  test.each<Errcode>(["M_FORBIDDEN", "M_UNABLE_TO_GRANT_JOIN", "M_UNABLE_TO_AUTHORISE_JOIN"])(
    "is not asked if the one that was named answers %s",
    async (errcode) => {
      const refusal = new MatrixError(errcode, "no");
      expect(await asked([refusal])).toEqual({ names: [NAMED], through: errcode });
    },
  );
});

test("of several refusals that of a server which knows the room counts", async () => {
  for (const refusals of [
    [UNKNOWN, FORBIDDEN],
    [AWAY, FORBIDDEN],
  ]) {
    expect((await asked(refusals)).through).toBe("M_FORBIDDEN");
  }
  expect((await asked([AWAY, UNKNOWN])).through).toBe("M_NOT_FOUND");
});
