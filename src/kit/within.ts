/**
 * What comes of something, if that is known within a time. What comes later is passed over.
 *
 * @param tooLate what is thrown otherwise.
 */
export async function within<T>(
  ms: number,
  something: Promise<T>,
  tooLate: () => Error,
): Promise<T> {
  const { promise: over, reject } = Promise.withResolvers<never>();
  const timer = setTimeout(() => reject(tooLate()), ms);
  try {
    return await Promise.race([something, over]);
  } finally {
    clearTimeout(timer);
  }
}
