/** Two servers, of which the second says by hand what it says beside events. For tests alone. */

import { expect } from "vitest";
import type { UserId } from "#src/kit/identifiers.ts";
import { asking, registered } from "#src/testing-http.ts";
import { sharedRoom, testFederation } from "../testing.ts";

type Registered = { access_token: string; user_id: UserId; device_id: string };

/** Opens them, with alice on the first and bob on the second, and a room of the two. */
export async function tellingServers() {
  const federation = await testFederation();
  const hs1 = await federation.open({ processes: 2 });
  // What it says is said by hand.
  const hs2 = await federation.open({ host: "hs2.test", isSilent: true });
  const [ask1, ask2] = [asking(hs1.all[1] ?? hs1.hs), asking(hs2.hs)];
  const alice: Registered = await registered(ask1, "alice");
  const bob: Registered = await registered(ask2, "bob");
  const room = await sharedRoom([hs1.hs, hs2.hs], [bob.user_id, alice.user_id]);

  let since: string | undefined;
  /** What is new to alice, who asks another process than the one that is told. */
  async function sync() {
    const path = `sync?timeout=0${since === undefined ? "" : `&since=${since}`}`;
    const { body } = await ask1("GET", path, { token: alice.access_token });
    since = body.next_batch;
    return body;
  }
  await sync();

  let transactions = 0;
  async function send(edus: readonly unknown[], txnId = `t${transactions++}`) {
    const sent = await hs2.hs.remotes.sendTransaction(hs1.name, {
      txnId,
      origin_server_ts: 5,
      pdus: [],
      edus: edus.map((it) => JSON.stringify(it)),
    });
    expect(sent).toEqual({ ok: true, body: { pdus: new Map() } });
  }

  /** What the second server says to the first. */
  async function say(...edus: readonly [edu_type: string, content: object][]) {
    await send(edus.map(([edu_type, content]) => ({ edu_type, content })));
  }

  const close = async () => await federation.close();
  return { hs1, hs2, ask1, ask2, alice, bob, room, sync, send, say, close };
}
