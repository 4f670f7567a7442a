import { expect, test } from "vitest";
import { mxcUri, newMediaId, parseMxc } from "./mxc.ts";

test("what we give out can be read", () => {
  const mxc = parseMxc("example.org:8448", newMediaId());
  expect(mxcUri(mxc)).toBe(`mxc://example.org:8448/${mxc.mediaId}`);
});

test.each([
  ["example.org", "../../etc/passwd"],
  ["example.org", ""],
  ["example.org", "a".repeat(256)],
  ["example.org", "ä"],
  ["example.org", "a\0"],
  ["exa mple.org", "abc"],
  ["example.org/..", "abc"],
  ["", "abc"],
  ["[::1", "abc"],
])("mxc://%s/%s leads nowhere", (serverName, mediaId) => {
  expect(() => parseMxc(serverName, mediaId)).toThrow(
    expect.objectContaining({ errcode: "M_INVALID_PARAM" }),
  );
});
