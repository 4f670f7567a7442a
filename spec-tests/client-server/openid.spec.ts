import { describe, expect, test } from "vitest";
import { homeserver, refusal } from "./client.ts";

const hs = await homeserver();
const alice = await hs.registerUser("alice");

const pathOf = (userId: string) => `/v3/user/${userId}/openid/request_token`;
const USER_INFO = "/_matrix/federation/v1/openid/userinfo";

/** @spec client-server-api#post_matrixclientv3useruseridopenidrequest_token */
describe("requestOpenIdToken", () => {
  test("gives a token by which others learn who the user is, and nothing else", async () => {
    const { status, body } = await alice.call("POST", pathOf(alice.userId), {});
    expect(status).toBe(200);
    const expected = { token_type: "Bearer", matrix_server_name: "hs.test", expires_in: 3600 };
    expect(body).toMatchObject(expected);
    const path = `${USER_INFO}?access_token=${body.access_token}`;
    for (const time of [1, 2]) {
      const answer = await hs.request("GET", path);
      expect(answer.body, `${time}`).toEqual({ sub: alice.userId });
    }
    const asUser = await hs.request("GET", "/v3/account/whoami", { token: body.access_token });
    expect(asUser).toMatchObject(refusal(401, "M_UNKNOWN_TOKEN"));
  });

  test("is found where it was before it was in the specification, too", async () => {
    const path = pathOf(alice.userId).replace("/v3/", "/unstable/");
    expect(await alice.call("POST", path, {})).toMatchObject({ status: 200 });
  });

  test("is for oneself", async () => {
    const bob = await hs.registerUser("bob");
    const refused = await alice.call("POST", pathOf(bob.userId), {});
    expect(refused).toMatchObject(refusal(403, "M_FORBIDDEN"));
  });

  test("gives what no other token is", async () => {
    for (const token of [alice.token, "wrong", ""]) {
      const answer = await hs.request("GET", `${USER_INFO}?access_token=${token}`);
      expect(answer).toMatchObject(refusal(401, "M_UNKNOWN_TOKEN"));
    }
    expect((await hs.request("GET", USER_INFO)).status).toBe(401);
  });
});
