import { describe, expect, test } from "vitest";
import { homeserver, refusal } from "./client.ts";

const hs = await homeserver();
const alice = await hs.registerUser("alice");

/** @spec client-server-api#get_matrixclientv3account3pid */
describe("getAccount3PIDs", () => {
  test("lists none", async () => {
    const answer = await alice.call("GET", "/v3/account/3pid");
    expect(answer).toMatchObject({ status: 200, body: { threepids: [] } });
  });
});

const CHANGES = [
  ["post3PIDs", "/v3/account/3pid", { three_pid_creds: { client_secret: "s", sid: "1" } }],
  ["add3PID", "/v3/account/3pid/add", { client_secret: "s", sid: "1" }],
  [
    "bind3PID",
    "/v3/account/3pid/bind",
    { client_secret: "s", sid: "1", id_server: "id.example.org", id_access_token: "t" },
  ],
] as const;

/** @spec client-server-api#m3pid_changes-capability */
describe.each(CHANGES)("%s", (_, path, body) => {
  test("is refused, as the capability says", async () => {
    expect(await alice.call("POST", path, body)).toMatchObject(refusal(403, "M_FORBIDDEN"));
    const { capabilities } = (await alice.call("GET", "/v3/capabilities")).body;
    expect(capabilities["m.3pid_changes"]).toEqual({ enabled: false });
  });
});

const ENDS = [
  ["delete3pidFromAccount", "/v3/account/3pid/delete"],
  ["unbind3pidFromAccount", "/v3/account/3pid/unbind"],
] as const;

/** @spec client-server-api#post_matrixclientv3account3piddelete */
describe.each(ENDS)("%s", (_, path) => {
  test("says that no identity server knows it", async () => {
    const body = { medium: "email", address: "alice@example.org" };
    expect((await alice.call("POST", path, body)).body).toEqual({
      id_server_unbind_result: "no-support",
    });
    expect((await alice.call("POST", path, { medium: "pigeon", address: "x" })).status).toBe(400);
  });
});

const EMAIL = { client_secret: "secret", send_attempt: 1, email: "alice@example.org" };
const PHONE = { client_secret: "secret", send_attempt: 1, country: "FI", phone_number: "040123" };
const REQUESTS = [
  ["requestTokenTo3PIDEmail", "/v3/account/3pid/email/requestToken", EMAIL],
  ["requestTokenTo3PIDMSISDN", "/v3/account/3pid/msisdn/requestToken", PHONE],
  ["requestTokenToResetPasswordEmail", "/v3/account/password/email/requestToken", EMAIL],
  ["requestTokenToResetPasswordMSISDN", "/v3/account/password/msisdn/requestToken", PHONE],
  ["requestTokenToRegisterEmail", "/v3/register/email/requestToken", EMAIL],
  ["requestTokenToRegisterMSISDN", "/v3/register/msisdn/requestToken", PHONE],
] as const;

/** @spec client-server-api#post_matrixclientv3account3pidemailrequesttoken */
describe.each(REQUESTS)("%s", (_, path, body) => {
  test("says that the medium is not supported", async () => {
    const answer = await hs.request("POST", path, { body });
    expect(answer).toMatchObject(refusal(400, "M_THREEPID_MEDIUM_NOT_SUPPORTED"));
    const { client_secret: _secret, ...without } = body;
    expect((await hs.request("POST", path, { body: without })).status).toBe(400);
  });
});
