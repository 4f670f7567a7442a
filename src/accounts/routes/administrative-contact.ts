import { z } from "zod";
import { type Endpoint, openEndpoint, userEndpoint } from "#src/http/endpoint.ts";
import { MatrixError } from "#src/kit/matrix-error.ts";
import type { OperationId } from "#src/kit/operation-ids.ts";

const ACCOUNT = "/_matrix/client/v3/account";

const Secret = z.object({ client_secret: z.string(), send_attempt: z.int() });
const ByEmail = Secret.extend({ email: z.string() });
const ByPhone = Secret.extend({ country: z.string(), phone_number: z.string() });

/** Where e-mails and text messages are asked for that prove that an address is one's own. */
const REQUESTS: readonly (readonly [OperationId, string, typeof ByEmail | typeof ByPhone])[] = [
  ["requestTokenTo3PIDEmail", `${ACCOUNT}/3pid/email/requestToken`, ByEmail],
  ["requestTokenTo3PIDMSISDN", `${ACCOUNT}/3pid/msisdn/requestToken`, ByPhone],
  ["requestTokenToResetPasswordEmail", `${ACCOUNT}/password/email/requestToken`, ByEmail],
  ["requestTokenToResetPasswordMSISDN", `${ACCOUNT}/password/msisdn/requestToken`, ByPhone],
  ["requestTokenToRegisterEmail", "/_matrix/client/v3/register/email/requestToken", ByEmail],
  ["requestTokenToRegisterMSISDN", "/_matrix/client/v3/register/msisdn/requestToken", ByPhone],
];

/** What would change the addresses of an account. */
const CHANGES: readonly (readonly [OperationId, string])[] = [
  ["post3PIDs", `${ACCOUNT}/3pid`],
  ["add3PID", `${ACCOUNT}/3pid/add`],
  ["bind3PID", `${ACCOUNT}/3pid/bind`],
];

const AnyObject = z.looseObject({});
const Address = z.object({ medium: z.enum(["email", "msisdn"]), address: z.string() });

/**
 * The specification's `administrative_contact.yaml`, and what of `registration.yaml` and
 * `password_management.yaml` is about addresses. No account here has any: nobody is known by e-mail or phone,
 * and the capability `m.3pid_changes` says that this cannot be changed.
 */
export const administrativeContactEndpoints: readonly Endpoint[] = [
  userEndpoint({
    operation: "getAccount3PIDs",
    method: "GET",
    path: `${ACCOUNT}/3pid`,
    handle: () => ({ threepids: [] }),
  }),
  ...CHANGES.map(([operation, path]) =>
    userEndpoint({
      operation,
      method: "POST",
      path,
      body: AnyObject,
      handle() {
        throw new MatrixError("M_FORBIDDEN", "This server keeps no e-mail addresses or phones");
      },
    }),
  ),
  userEndpoint({
    operation: "delete3pidFromAccount",
    method: "POST",
    path: `${ACCOUNT}/3pid/delete`,
    body: Address,
    // There was none, and there is none; nor was one bound to an identity server by us.
    handle: () => ({ id_server_unbind_result: "no-support" }),
  }),
  userEndpoint({
    operation: "unbind3pidFromAccount",
    method: "POST",
    path: `${ACCOUNT}/3pid/unbind`,
    body: Address,
    handle: () => ({ id_server_unbind_result: "no-support" }),
  }),
  ...REQUESTS.map(([operation, path, body]) =>
    openEndpoint<unknown>({
      operation,
      method: "POST",
      path,
      auth: "none",
      rate: "login",
      body,
      handle() {
        throw new MatrixError(
          "M_THREEPID_MEDIUM_NOT_SUPPORTED",
          "This server sends no e-mails or text messages to prove an address",
        );
      },
    }),
  ),
];
