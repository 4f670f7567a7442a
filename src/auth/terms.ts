import type { Homeserver } from "#src/homeserver/homeserver.ts";

/**
 * What those who register have to agree to, as the stage `m.login.terms` tells clients.
 *
 * @spec client-server-api#terms-of-service-at-registration
 */
export function termsParams(hs: Homeserver): { readonly policies: object } {
  const byId = Map.groupBy(hs.config.registration.terms, (it) => it.id);
  const policies = [...byId].map(([id, texts]) => {
    const languages = texts.map(({ language, name, url }) => [language, { name, url }]);
    return [id, { version: texts[0]?.version, ...Object.fromEntries(languages) }];
  });
  return { policies: Object.fromEntries(policies) };
}
