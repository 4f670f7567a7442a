/** How users log in. For tests alone. */

import type { Ask } from "#src/testing-http.ts";

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
