import { describe, expect, test } from "vitest";
import { homeserver, refusal } from "./client.ts";

const hs = await homeserver();
const alice = await hs.registerUser("alice");

describe.each([
  ["getUrlPreviewAuthed", "/v1/media/preview_url"],
  ["getUrlPreview", "/_matrix/media/v3/preview_url"],
])("%s", (_, path) => {
  /** @spec client-server-api#get_matrixclientv1mediapreview_url */
  test("goes to no address of the server's own network", async () => {
    const url = encodeURIComponent("http://127.0.0.1:1/");
    const answer = await alice.call("GET", `${path}?url=${url}`);
    expect(answer).toMatchObject(refusal(403, "M_FORBIDDEN"));
  });

  test("wants a URL", async () => {
    expect(await alice.call("GET", path)).toMatchObject(refusal(400, "M_MISSING_PARAM"));
    expect(await alice.call("GET", `${path}?url=nothing`)).toMatchObject(
      refusal(400, "M_INVALID_PARAM"),
    );
  });

  test("is for those who are logged in", async () => {
    const { status } = await hs.request("GET", `${path}?url=https://a.test/`, {});
    expect(status).toBe(401);
  });
});

test("capabilities say whether there are previews", async () => {
  const { body } = await alice.call("GET", "/v3/capabilities");
  expect(body.capabilities["io.element.msc4452.preview_url"]).toEqual({ enabled: true });
});
