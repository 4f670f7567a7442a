/** That a store of files on another machine has not done what was asked of it: it may soon. */
export class FileStoreAway extends Error {
  override readonly name = "FileStoreAway";

  constructor(cause: unknown) {
    const why = cause instanceof Error ? cause.message : String(cause);
    super(`the store of files has failed: ${why}`, { cause });
  }
}

/** @throws FileStoreAway if what was asked of a store fails. */
export async function fromFileStore<T>(answer: Promise<T>): Promise<T> {
  try {
    return await answer;
  } catch (error) {
    throw new FileStoreAway(error);
  }
}
