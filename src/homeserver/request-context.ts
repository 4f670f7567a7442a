import { AsyncLocalStorage } from "node:async_hooks";

/** What is being answered: on every line that is logged meanwhile. */
export type RequestContext = { readonly requestId: string; readonly operation: string };

export const requestContext = new AsyncLocalStorage<RequestContext>();
