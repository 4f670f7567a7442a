import { afterAll, beforeAll, describe, expect, test } from "vitest";
import type { ServerName } from "#src/kit/identifiers.ts";
import { type Errcode, MatrixError } from "#src/kit/matrix-error.ts";
import { testHomeservers, type TestHomeservers } from "#src/testing.ts";
import { bodyOf, throughOneOf, unhelpful } from "./refusals.ts";

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

describe("what a server refuses with", () => {
  const refusal = (status: number, errcode: string) => {
    const answer = { ok: false, why: "refused", status, errcode, body: { error: "why" } } as const;
    try {
      return bodyOf(NAMED, answer);
    } catch (error) {
      const { status: told } = error as MatrixError;
      return { status: told, ...(error as MatrixError).toJSON() };
    }
  };

  test("is passed on if it is about the user, or the server's own", () => {
    for (const errcode of ["M_FORBIDDEN", "M_OUT_OF_TEA", "ORG.EXAMPLE.NOT_TODAY"]) {
      expect(refusal(403, errcode)).toEqual({ status: 403, errcode, error: "why" });
    }
  });

  test("is not passed on if clients would take it for what they have done here", () => {
    for (const [status, errcode] of [
      [401, "M_UNKNOWN_TOKEN"],
      [403, "M_UNKNOWN_TOKEN"],
      [400, "M_INVALID_PARAM"],
      [401, "M_OUT_OF_TEA"],
      [400, "no code"],
    ] as const) {
      expect(refusal(status, errcode)).toMatchObject({ status: 502, errcode: "M_UNKNOWN" });
    }
  });
});
