import { type HomeserverUnderTest, startHomeserver } from "../homeserver-under-test.ts";
import type { TestUser } from "../test-user.ts";
import { newDevice, type SdkDevice } from "./js-sdk.ts";

/** A homeserver with two users, and a device of each. */
export type AliceAndBob = {
  readonly homeserver: HomeserverUnderTest;
  readonly aliceUser: TestUser;
  readonly alice: SdkDevice;
  readonly bob: SdkDevice;
  readonly stop: () => Promise<void>;
};

export async function aliceAndBob(): Promise<AliceAndBob> {
  const homeserver = await startHomeserver();
  const bobUser = await homeserver.registerUser("bob");
  const aliceUser = await homeserver.registerUser("alice");
  const [alice, bob] = await Promise.all([
    newDevice(homeserver, aliceUser),
    newDevice(homeserver, bobUser),
  ]);
  return {
    homeserver,
    aliceUser,
    alice,
    bob,
    async stop() {
      for (const it of [alice, bob]) it.stop();
      await homeserver.dispose();
    },
  };
}
