/**
 * Does something when all that came before it by the same key is done, however that ended.
 *
 * @param last by key, what was asked for last and is not over.
 * @returns what comes of it. @throws what it throws.
 */
export async function afterOthers<K, T>(
  last: Map<K, Promise<unknown>>,
  key: K,
  work: () => Promise<T>,
): Promise<T> {
  const before = last.get(key) ?? Promise.resolve();
  const own = before.then(work, work);
  last.set(key, own);
  try {
    return await own;
  } finally {
    if (last.get(key) === own) last.delete(key);
  }
}
