/** The memory that a large answer is given while something is made of it. See `withAnswerMemory`. */
export type AnswerMemory = {
  /** Waits until there is some for an answer that has come. @returns whether there is. */
  take(bytes: number, signal?: AbortSignal): Promise<boolean>;
  /** How many bytes the last answer had for which it was asked; 0 if none. */
  answerBytes(): number;
  /** Gives it back: nothing more is made of the answer. To be called before anything is asked that may be as large. */
  release(): void;
};

/** What of a question is for the caller to say. */
export type AskOptions = {
  /** How long to wait for the whole answer, if not as long as is configured. */
  readonly timeoutMs?: number;
  /** Gives the question up. */
  readonly signal?: AbortSignal;
  /** Whether a server that has not answered lately is not asked: for what can wait, and has many others wait for it. */
  readonly sparesAbsent?: true;
  /** What the answer has its memory from until something has been made of it; else it has some until it has been read. */
  readonly memory?: AnswerMemory;
};
