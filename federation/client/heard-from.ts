import { held } from "#src/homeserver/held.ts";
import type { Homeserver } from "#src/homeserver/homeserver.ts";
import type { ServerName } from "#src/kit/identifiers.ts";

type Listener = (server: ServerName) => void;

const listenersOf = held((): Listener[] => []);

/** Calls the listener whenever another server shows that it is there: by a request that it signed, or by an answer. */
export function onHeardFrom(hs: Homeserver, listener: Listener): void {
  listenersOf(hs).push(listener);
}

/** Says that another server has just shown that it is there. */
export function heardFrom(hs: Homeserver, server: ServerName): void {
  for (const listener of listenersOf(hs)) listener(server);
}
