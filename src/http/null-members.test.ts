import { describe, expect, test } from "vitest";
import { z } from "zod";
import { checkBody } from "./read-body.ts";

const Body = z.object({
  user: z.string(),
  limit: z.number().default(10),
  auth: z.object({ session: z.string().optional() }).optional(),
  identifier: z.union([z.object({ medium: z.string().optional() }), z.string()]).optional(),
  messages: z.record(z.string(), z.object({ body: z.string().optional() })).optional(),
  parts: z.array(z.object({ name: z.string().optional() })).optional(),
  kind: z.string().nullable().optional(),
  content: z.record(z.string(), z.unknown()).optional(),
});

describe("a member of null", () => {
  test.each([
    [{ limit: null }, { limit: 10 }],
    [{ auth: null, messages: null }, {}],
    [{ auth: { session: null } }, { auth: {} }],
    [{ identifier: { medium: null } }, { identifier: {} }],
    [{ messages: { a: { body: null } } }, { messages: { a: {} } }],
    [{ parts: [{ name: null }] }, { parts: [{}] }],
  ])("counts as one left out, if it may be: %j", (given, read) => {
    expect(checkBody({ user: "alice", ...given }, Body)).toEqual({
      user: "alice",
      limit: 10,
      ...read,
    });
  });

  test.each([{ kind: null }, { content: { reason: null } }])(
    "stays where it means something: %j",
    (given) => {
      // As a body with another fault too would have it.
      const body = { user: "alice", limit: null, ...given };
      expect(checkBody(body, Body)).toEqual({ user: "alice", limit: 10, ...given });
    },
  );

  test("that is called as what every object has is refused as any other", () => {
    const schema = z.object({}).catchall(z.string());
    expect(() => checkBody(JSON.parse('{"constructor":null}'), schema)).toThrow("constructor: ");
  });

  test.each([
    [{ user: null }, "user"],
    [{ messages: { a: null } }, "messages.a"],
    [{ parts: [null] }, "parts.0"],
  ])("is refused where something must be: %j", (given, path) => {
    expect(() => checkBody({ user: "alice", ...given }, Body)).toThrow(`${path}: `);
  });
});
