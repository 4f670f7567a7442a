import { randomBytes } from "node:crypto";
import { beforeEach, describe, expect, test } from "vitest";
import { runAuthority } from "../run-authority.ts";
import { PROCESSES } from "../shared-homeservers.ts";
import { homeserver, refusal } from "./client.ts";
import { newAddress, openThirdPartyStage } from "./third-party-stage.ts";

const { id, invite, room, stateOf, pendingIn, whatWasAsked, reset } = await openThirdPartyStage();
beforeEach(reset);

/** @spec client-server-api#third-party-invites */
describe("an invitation by address", () => {
  test("is refused of what is no address, no token and no server, and nobody is asked", async () => {
    const roomId = await room();
    const whole = id.invite(newAddress());
    const invalid = refusal(400, "M_INVALID_PARAM");
    for (const wrong of [
      { address: "nobody" },
      { address: "two words@example.org" },
      { address: `${"x".repeat(600)}@example.org` },
      { address: "" },
      { medium: "msisdn", address: "+44 20 7946" },
      { id_server: "" },
      { id_server: "https://id.test" },
      { id_server: "id.test/path" },
      { id_server: "id.test:99999" },
      { id_server: "user@id.test" },
      { id_access_token: "" },
      { id_access_token: "a\r\nhost: other" },
    ]) {
      const answer = await invite(roomId, { ...whole, ...wrong });
      expect(answer, JSON.stringify(wrong)).toMatchObject(invalid);
    }
    expect(await invite(roomId, { ...whole, medium: "pigeon" })).toMatchObject(
      refusal(400, "M_THREEPID_MEDIUM_NOT_SUPPORTED"),
    );
    for (const key of ["id_server", "id_access_token", "medium", "address"]) {
      const { [key]: _, ...rest } = whole;
      expect((await invite(roomId, rest)).status, key).toBe(400);
      expect((await invite(roomId, { ...whole, [key]: 5 })).status, key).toBe(400);
    }
    expect(id.asked).toEqual([]);
    expect(await pendingIn(roomId)).toEqual([]);
  });

  test("says so if the identity server refuses, in words that are not about this server", async () => {
    const roomId = await room();
    const own = id.invite(newAddress());
    const forbidden = refusal(403, "M_FORBIDDEN");
    expect(await invite(roomId, { ...own, id_access_token: "x" })).toMatchObject(forbidden);
    const says = (what: string, status: number, errcode: string, further: object = {}) => {
      const body = { errcode, error: "No", ...further };
      id.instead = (it) => (it === what ? { status, body } : undefined);
    };
    says("hash_details", 403, "M_TERMS_NOT_SIGNED");
    expect(await invite(roomId, own)).toMatchObject(refusal(403, "M_TERMS_NOT_SIGNED"));
    says("lookup", 401, "M_UNKNOWN_TOKEN", { soft_logout: true });
    expect(await invite(roomId, own)).toMatchObject(forbidden);
    says("lookup", 429, "M_LIMIT_EXCEEDED", { retry_after_ms: 7_000 });
    const limited = await invite(roomId, own);
    expect(limited).toMatchObject(refusal(429, "M_LIMIT_EXCEEDED"));
    expect(limited.body.retry_after_ms).toBe(7_000);
    says("store-invite", 400, "M_UNRECOGNIZED");
    expect(await invite(roomId, own)).toMatchObject(
      refusal(400, "M_THREEPID_MEDIUM_NOT_SUPPORTED"),
    );
    says("store-invite", 400, "M_THREEPID_IN_USE");
    expect(await invite(roomId, own)).toMatchObject(refusal(400, "M_THREEPID_IN_USE"));
    expect(await pendingIn(roomId)).toEqual([]);
  });

  const stored = {
    token: "t",
    display_name: "x",
    public_keys: [
      {
        public_key: randomBytes(32).fill(9).toString("base64"),
        key_validity_url: "https://id.test/",
      },
    ],
  };
  test.each<[string, { status?: number; body: unknown } | "nothing"]>([
    ["hash_details", { status: 500, body: { errcode: "M_UNKNOWN", error: "Oh" } }],
    ["hash_details", { status: 502, body: "<html>" }],
    ["hash_details", { status: 302, body: {} }],
    ["hash_details", { body: "not JSON" }],
    ["hash_details", { body: { lookup_pepper: 5, algorithms: ["sha256"] } }],
    ["hash_details", { body: { lookup_pepper: "x", algorithms: ["md5"] } }],
    ["lookup", { body: {} }],
    ["lookup", { body: { mappings: [] } }],
    ["lookup", { body: "x".repeat(100_000) }],
    ["store-invite", { body: {} }],
    ["store-invite", { body: { ...stored, token: "" } }],
    ["store-invite", { body: { ...stored, token: "a/b" } }],
    ["store-invite", { body: { ...stored, token: "x".repeat(256) } }],
    ["store-invite", { body: { ...stored, public_keys: [] } }],
    ["store-invite", { body: { ...stored, public_keys: [{ public_key: "none" }] } }],
    ["store-invite", { body: { ...stored, display_name: "x".repeat(70_000) } }],
    ["hash_details", "nothing"],
  ])("comes to nothing if the identity server answers %s with %j", async (what, instead) => {
    const roomId = await room();
    const eventsOf = async () => (await stateOf(roomId)).map((it) => it.event_id);
    const before = await eventsOf();
    id.instead = (it) => (it === what ? instead : undefined);
    expect(await invite(roomId, id.invite(newAddress()))).toMatchObject(refusal(502, "M_UNKNOWN"));
    expect(whatWasAsked().at(-1)).toBe(what);
    expect(await eventsOf()).toEqual(before);
  });

  test("comes to nothing if the identity server says that nobody's ID has the address", async () => {
    const [address, roomId] = [newAddress(), await room()];
    id.bind(address, "nobody");
    expect(await invite(roomId, id.invite(address))).toMatchObject(refusal(502, "M_UNKNOWN"));
  });

  test("comes to nothing if the identity server cannot be reached, whatever the reason", async () => {
    const roomId = await room();
    for (const id_server of ["127.0.0.1:1", "nowhere.invalid", "10.0.0.1", "[::1]:1"]) {
      const answer = await invite(roomId, { ...id.invite(newAddress()), id_server });
      expect(answer, id_server).toMatchObject(refusal(502, "M_UNKNOWN"));
    }
    expect(await pendingIn(roomId)).toEqual([]);
  });

  test("asks no identity server but those that the operator wants to be asked", async () => {
    const picky = await homeserver({
      ARCHIPEL_FEDERATION_CA_FILE: runAuthority().caFile,
      ARCHIPEL_THIRD_PARTY_INVITES_IDENTITY_SERVERS: `id.test, ${id.name}`,
    });
    const dora = await picky.registerUser("dora");
    const roomId = await dora.createRoom({ preset: "private_chat" });
    const own = id.invite(newAddress());
    const other = { ...own, id_server: id.name.replace("127.0.0.1", "localhost") };
    const distrusted = refusal(400, "M_SERVER_NOT_TRUSTED");
    expect(await invite(roomId, other, dora)).toMatchObject(distrusted);
    expect(await dora.call("POST", "/v3/createRoom", { invite_3pid: [other] })).toMatchObject(
      distrusted,
    );
    expect(id.asked).toEqual([]);
    // One that is named may be at a private address.
    expect((await invite(roomId, own, dora)).status).toBe(200);
  });

  // Each of several processes gives out its share of a limit.
  test.runIf(PROCESSES === 1)("is limited, apart from other invitations", async () => {
    const slow = await homeserver({
      ARCHIPEL_FEDERATION_CA_FILE: runAuthority().caFile,
      ARCHIPEL_FEDERATION_ALLOWED_ADDRESS_RANGES: "127.0.0.0/8",
      ARCHIPEL_RATE_LIMITS_ENABLED: "true",
      ARCHIPEL_RATE_LIMITS_THIRD_PARTY_INVITE_BURST: "2",
      ARCHIPEL_RATE_LIMITS_THIRD_PARTY_INVITE_PER_SECOND: "0.001",
    });
    const dora = await slow.registerUser("dora");
    const roomId = await dora.createRoom({ preset: "private_chat" });
    const limited = refusal(429, "M_LIMIT_EXCEEDED");
    const addresses = [newAddress(), newAddress(), newAddress()].map((it) => id.invite(it));
    expect(await dora.call("POST", "/v3/createRoom", { invite_3pid: addresses })).toMatchObject(
      limited,
    );
    expect(await invite(roomId, id.invite(newAddress()), dora)).toMatchObject(limited);
    expect(id.asked).toEqual([]);
    expect((await invite(roomId, { user_id: "@x:hs.test" }, dora)).status).toBe(200);
  });
});
