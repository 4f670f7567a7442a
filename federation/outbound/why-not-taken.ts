import type { Delivery } from "./send-transaction.ts";

/** What the log says of why a server has not taken what it was sent; nothing of what that was. */
export function whyNotTaken(delivery: Delivery & { readonly ok: false }): object {
  if (delivery.why === "refused") {
    return { why: "refused", status: delivery.status, errcode: delivery.errcode };
  }
  return { why: delivery.why, err: delivery.cause };
}
