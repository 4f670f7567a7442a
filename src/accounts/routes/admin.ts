import { z } from "zod";
import { type Endpoint, userEndpoint } from "#src/http/endpoint.ts";
import { moderateAccount, moderationOf } from "../moderate-account.ts";
import { whoIs } from "../who-is.ts";

const LOCK = "/_matrix/client/v1/admin/lock/:userId";
const SUSPEND = "/_matrix/client/v1/admin/suspend/:userId";

/** The specification's `admin.yaml`: who is where, and locking and suspending accounts. */
export const moderationEndpoints: readonly Endpoint[] = [
  userEndpoint({
    operation: "getWhoIs",
    method: "GET",
    path: "/_matrix/client/v3/admin/whois/:userId",
    handle: async (hs, { requester, params }) => await whoIs(hs, requester, params["userId"] ?? ""),
  }),
  userEndpoint({
    operation: "getAdminLockUser",
    method: "GET",
    path: LOCK,
    async handle(hs, { requester, params }) {
      return { locked: (await moderationOf(hs, requester, params["userId"] ?? "")).isLocked };
    },
  }),
  userEndpoint({
    operation: "setAdminLockUser",
    method: "PUT",
    path: LOCK,
    body: z.object({ locked: z.boolean() }),
    async handle(hs, { requester, params, body }) {
      const change = { isLocked: body.locked };
      await moderateAccount(hs, requester, params["userId"] ?? "", change);
      return body;
    },
  }),
  userEndpoint({
    operation: "getAdminSuspendUser",
    method: "GET",
    path: SUSPEND,
    async handle(hs, { requester, params }) {
      return { suspended: (await moderationOf(hs, requester, params["userId"] ?? "")).isSuspended };
    },
  }),
  userEndpoint({
    operation: "setAdminSuspendUser",
    method: "PUT",
    path: SUSPEND,
    body: z.object({ suspended: z.boolean() }),
    async handle(hs, { requester, params, body }) {
      const change = { isSuspended: body.suspended };
      await moderateAccount(hs, requester, params["userId"] ?? "", change);
      return body;
    },
  }),
];
