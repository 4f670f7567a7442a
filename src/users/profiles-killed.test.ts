import { afterAll, expect, test } from "vitest";
import { userKeyOf } from "#src/rooms/user-keys.ts";
import { killedAnywhere } from "#src/testing-crash.ts";
import { asking, type Ask, LENIENT, registered } from "#src/testing-http.ts";
import { testHomeservers } from "#src/testing.ts";
import { clearProfile, setProfileField } from "./set-profile.ts";

const homes = await testHomeservers(2, LENIENT);
const [ask] = homes.all.map(asking) as [Ask, Ask];
const [hs, victim] = homes.all as [typeof homes.hs, typeof homes.hs];
afterAll(async () => await homes.close());

const FIELD = "org.example.mood";
const USERS = "org.matrix.msc4429.users";

test.each([
  ["changes", "changed", async (owner: Owner, n: number) => await set(owner, `mood ${n}`)],
  ["is taken away", "gone", async ({ userKey }: Owner) => await clearProfile(victim, userKey)],
])(
  "of a profile that %s in a process that is killed, others have heard what it is",
  async (_how, name, act) => {
    const alice = await registered(ask, `alice-${name}`);
    const bob = await registered(ask, `bob-${name}`);
    const owner = { userKey: await userKeyOf(hs, bob.user_id), userId: bob.user_id };
    const { access_token: token } = alice;
    const body = { preset: "public_chat" };
    const { room_id } = (await ask("POST", "createRoom", { token, body })).body;
    await ask("POST", `join/${room_id}`, { token: bob.access_token, body: {} });
    await set(owner, "mood");

    let since = "";
    let heard: unknown;
    const hear = async () => {
      const filter = JSON.stringify({ "org.matrix.msc4429.profile_fields": { ids: [FIELD] } });
      const query = `filter=${encodeURIComponent(filter)}&timeout=0${since && `&since=${since}`}`;
      const news = (await ask<News>("GET", `sync?${query}`, { token })).body;
      since = news.next_batch;
      const told = news[USERS]?.[bob.user_id]?.profile_updates ?? {};
      if (FIELD in told) heard = told[FIELD] ?? undefined;
      return heard;
    };
    const shown = async () => (await ask("GET", `profile/${bob.user_id}/${FIELD}`)).body[FIELD];
    expect(await hear()).toBe("mood");
    await killedAnywhere(
      victim,
      async (round) => await act(owner, round),
      async () => await expect.poll(async () => (await hear()) === (await shown())).toBe(true),
    );
    expect(heard).not.toBe("mood");
  },
);

type News = {
  readonly next_batch: string;
  readonly [USERS]?: Readonly<
    Record<string, { readonly profile_updates: Readonly<Record<string, unknown>> }>
  >;
};

type Owner = { readonly userKey: number; readonly userId: `@${string}:${string}` };

async function set(owner: Owner, mood: string): Promise<void> {
  await setProfileField(victim, owner, FIELD, mood);
}
