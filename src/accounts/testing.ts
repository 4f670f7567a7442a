/** A homeserver that many come to, and how they log in. For tests alone. */

import { asking, type Ask, LENIENT } from "#src/testing-http.ts";
import { testHomeservers } from "#src/testing.ts";

/** A homeserver at which everybody can make an account: guests too, and scripts that know the secret. */
export async function openHouse() {
  const homes = await testHomeservers(1, {
    ...LENIENT,
    ARCHIPEL_REGISTRATION_SHARED_SECRET: "shared",
    ARCHIPEL_REGISTRATION_GUESTS_ALLOWED: "true",
    ARCHIPEL_PASSWORDS_MIN_LENGTH: "6",
  });
  return { hs: homes.hs, ask: asking(homes.hs), close: async () => await homes.close() };
}

/** Logs in with a password. */
export const login = async (ask: Ask, user: string, password = "secret", further: object = {}) =>
  await ask("POST", "login", {
    body: {
      type: "m.login.password",
      identifier: { type: "m.id.user", user },
      password,
      ...further,
    },
  });

/** How a user shows that they know their password. */
export const passwordAuth = (user: string, password = "secret") => ({
  auth: { type: "m.login.password", identifier: { type: "m.id.user", user }, password },
});
