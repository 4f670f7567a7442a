import { describe, expect, test } from "vitest";
import { PROCESSES } from "../shared-homeservers.ts";
import { homeserver, type Method, refusal, type RequestOptions } from "./client.ts";
import { askOf, changesNothing, CLEAR, routes, someOf, titled } from "./routes-stage.ts";
import { newStage, pathOn, wholeBodies } from "./stage.ts";

const hs = await homeserver();

/** For what changes nothing. */
const shared = await newStage(hs);

const ask = async (method: Method, path: string, options?: RequestOptions) =>
  await askOf(hs, method, path, options);

/** Keys that may hold anything: what is in them is between clients. */
const FREE_KEYS = new Set(["setRoomTag.order"]);

/** Where a body of null is none: clients in Go say so that they say nothing. */
const MAY_BE_NULL = new Set(["joinRoom", "joinRoomById", "knockRoom", "leaveRoom", "forgetRoom"]);

const withBody = routes.filter((it) => it.hasBody);

const BROKEN = ["{", "nonsense", '"', "{'a':1}", '{"a":1}}', '{"a":}', "[1,", '{"a":01}', "\u0000"];
const NOT_UTF8 = [
  Uint8Array.of(0xff),
  Uint8Array.of(0x22, 0xc3, 0x22),
  Uint8Array.of(0xed, 0xa0, 0x80),
];

describe("a body", () => {
  test.each(titled(withBody))(
    "of %s that is no JSON is refused: %s %s",
    async (_, method, path) => {
      const stage = shared;
      const { token } = stage.user;
      await changesNothing(stage, async () => {
        for (const raw of [...BROKEN, ...NOT_UTF8]) {
          const answer = await ask(method, pathOn(stage, path), { token, raw });
          expect(answer, String(raw)).toMatchObject(refusal(400, "M_NOT_JSON"));
        }
        const deep = `${'{"a":'.repeat(9_999)}1${"}".repeat(9_999)}`;
        const answer = await ask(method, pathOn(stage, path), { token, raw: deep });
        expect(answer).toMatchObject(refusal(400, "M_BAD_JSON"));
      });
    },
  );

  test.each(titled(withBody))(
    "of %s that is no object is refused: %s %s",
    async (_, method, path, route) => {
      const stage = shared;
      const { token } = stage.user;
      const mayBeNull = MAY_BE_NULL.has(route.operation);
      await changesNothing(stage, async () => {
        for (const raw of ["null", "[]", "[{}]", '"text"', "7", "true"]) {
          if (raw === "null" && mayBeNull) continue;
          const answer = await ask(method, pathOn(stage, path), { token, raw });
          expect(answer, raw).toMatchObject(refusal(400, "M_BAD_JSON"));
        }
      });
    },
  );

  // A balancer that is still sending may not hear the answer.
  test.runIf(PROCESSES === 1).each(titled(someOf(withBody)))(
    "of %s that is too large is refused: %s %s",
    async (_, method, path) => {
      const stage = shared;
      const { token } = stage.user;
      const raw = JSON.stringify({ a: "x".repeat(9 * 1024 * 1024) });
      await changesNothing(stage, async () => {
        const answer = await ask(method, pathOn(stage, path), { token, raw });
        expect(answer).toMatchObject(refusal(413, "M_TOO_LARGE"));
      });
    },
  );

  test.each(titled(withBody))(
    "of %s may be empty, or is refused: %s %s",
    async (_, method, path) => {
      const stage = await newStage(hs);
      for (const raw of ["", " \n"]) {
        const answer = await ask(method, pathOn(stage, path), { token: stage.user.token, raw });
        expect(CLEAR).toContain(answer.status);
      }
    },
  );

  const typed = withBody.filter((it) => wholeKeys(it.operation).length > 0);
  test.each(titled(typed))(
    "of %s with a key of another type is refused: %s %s",
    async (_, method, path, route) => {
      const stage = shared;
      const whole = wholeBodies(stage).get(route.operation) ?? {};
      await changesNothing(stage, async () => {
        for (const [key, value] of Object.entries(whole)) {
          if (FREE_KEYS.has(`${route.operation}.${key}`)) continue;
          for (const other of [7.5, "text", ["x"], { x: ["y"] }, true]) {
            if (kindOf(other) === kindOf(value)) continue;
            const body = { ...whole, [key]: other };
            const answer = await ask(method, pathOn(stage, path), {
              token: stage.user.token,
              body,
            });
            const what = `${key}: ${JSON.stringify(other)}: ${answer.status} ${answer.text.slice(0, 200)}`;
            expect(answer.status, what).toBe(400);
            expect(["M_BAD_JSON", "M_INVALID_PARAM", "M_MISSING_PARAM"], what).toContain(
              answer.body.errcode,
            );
          }
        }
      });
    },
  );

  test.each(titled(someOf(typed)))(
    "of %s may hold what is hard to hold: %s %s",
    async (_, method, path, route) => {
      const stage = await newStage(hs);
      const whole = wholeBodies(stage).get(route.operation) ?? {};
      const odd = [
        '"\\u0000"',
        '"a\\ud800b"',
        '"\\udfff"',
        "1e400",
        "-1e308",
        "18446744073709551616",
        "-1",
        "null",
        '""',
        `"${"x".repeat(300)}"`,
        '{"__proto__":{"x":1}}',
        '{"constructor":1,"":2}',
      ];
      for (const key of Object.keys(whole)) {
        for (const text of odd) {
          // The key twice: the last of them counts.
          const raw = `${JSON.stringify(whole).slice(0, -1)},${JSON.stringify(key)}:${text}}`;
          const answer = await ask(method, pathOn(stage, path), { token: stage.user.token, raw });
          expect(CLEAR, `${key}: ${text}`).toContain(answer.status);
        }
      }
    },
  );
});

function wholeKeys(operation: string): readonly string[] {
  return Object.keys(wholeBodies(shared).get(operation) ?? {});
}
function kindOf(value: unknown): string {
  return Array.isArray(value) ? "array" : typeof value;
}
