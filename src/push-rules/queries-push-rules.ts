import type { Queryable, Tx } from "#src/homeserver/database.ts";
import type { Position } from "#src/homeserver/position.ts";
import type { UserPushRules } from "./user-push-rules.ts";

/** What is stored of users' rules, by their keys: nothing of those who have changed nothing. */
export async function rulesOfUsers(
  db: Queryable,
  userKeys: readonly number[],
): Promise<Map<number, UserPushRules>> {
  const rows = await db<{ user_key: number; rules: string }[]>`
    select user_key, rules from push_rules where user_key = any(${userKeys}::bigint[])`;
  return new Map(rows.map((it) => [it.user_key, JSON.parse(it.rules) as UserPushRules]));
}

export async function upsertRules(
  lane: Tx,
  rows: readonly { userKey: number; rules: string; position: Position }[],
): Promise<void> {
  await lane`
    insert into push_rules (user_key, rules, position)
    select unnest(${rows.map((it) => it.userKey)}::bigint[]), unnest(${rows.map((it) => it.rules)}::text[]),
      unnest(${rows.map((it) => it.position)}::bigint[])
    on conflict (user_key) do update set rules = excluded.rules, position = excluded.position`;
}

export async function changedRulesBetween(
  db: Queryable,
  after: Position,
  upTo: Position,
): Promise<readonly { userKey: number; position: Position }[]> {
  return await db<{ userKey: number; position: Position }[]>`
    select user_key as "userKey", position from push_rules
    where position > ${after} and position <= ${upTo}`;
}

export async function deletePushRules(db: Queryable, userKey: number): Promise<void> {
  await db`delete from push_rules where user_key = ${userKey}`;
}
