import { z } from "zod";
import { isNamespacePattern, type Namespace, namespaceOf } from "./namespace.ts";

const Token = z.string().min(1).regex(/^\S+$/, "Holds white space");

const Patterns = z
  .array(
    z.looseObject({
      exclusive: z.boolean(),
      regex: z.string().min(1).refine(isNamespacePattern, "Not a regular expression of RE2"),
    }),
  )
  .nullish();

/**
 * A registration file as bridges write it. Keys that are unknown are passed over: there are many.
 *
 * @spec application-service-api#registration
 */
export const AppserviceFile = z.looseObject({
  id: z.string().min(1),
  url: z.union([z.url({ protocol: /^https?$/ }), z.literal("").transform(() => null), z.null()]),
  as_token: Token,
  hs_token: Token,
  sender_localpart: z.string().regex(/^[a-zA-Z0-9._=\-/+]+$/, "Not a user name"),
  namespaces: z.looseObject({ users: Patterns, aliases: Patterns, rooms: Patterns }),
  rate_limited: z.boolean().nullish(),
  protocols: z.array(z.string()).nullish(),
  receive_ephemeral: z.boolean().nullish(),
  /** The names that `receive_ephemeral` had before it was in the specification. */
  push_ephemeral: z.boolean().nullish(),
  "de.sorunome.msc2409.push_ephemeral": z.boolean().nullish(),
  /** Whether it wants to hear of devices and keys (MSC3202). */
  "org.matrix.msc3202": z.boolean().nullish(),
});

/** An application service, such as a bridge, that the operator has registered. */
export type Appservice = {
  readonly id: string;
  /** Without a slash at the end. Null: it wants to be told nothing. */
  readonly url: string | null;
  /** By which we know it. */
  readonly asToken: string;
  /** By which it knows us. */
  readonly hsToken: string;
  readonly senderLocalpart: string;
  readonly users: readonly Namespace[];
  readonly aliases: readonly Namespace[];
  readonly rooms: readonly Namespace[];
  /** Whether its users may be told to wait; its own, the sender, never is. */
  readonly isRateLimited: boolean;
  readonly protocols: readonly string[];
  /** Whether it wants to hear of typing, receipts, presence, and messages to devices. */
  readonly receivesEphemeral: boolean;
  /** Whether it wants to hear of device lists and of how many keys are left. */
  readonly receivesKeyNews: boolean;
};

export function appserviceOf(file: z.infer<typeof AppserviceFile>): Appservice {
  const { users, aliases, rooms } = file.namespaces;
  return {
    id: file.id,
    url: file.url === null ? null : file.url.replace(/\/+$/, ""),
    asToken: file.as_token,
    hsToken: file.hs_token,
    senderLocalpart: file.sender_localpart,
    users: (users ?? []).map(namespaceOf),
    aliases: (aliases ?? []).map(namespaceOf),
    rooms: (rooms ?? []).map(namespaceOf),
    isRateLimited: file.rate_limited ?? true,
    protocols: file.protocols ?? [],
    receivesEphemeral:
      file.receive_ephemeral ??
      file.push_ephemeral ??
      file["de.sorunome.msc2409.push_ephemeral"] ??
      false,
    receivesKeyNews: file["org.matrix.msc3202"] ?? false,
  };
}
