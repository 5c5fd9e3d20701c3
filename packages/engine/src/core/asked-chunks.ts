/**
 * Chunks that another store is asked to prove at this moment. They are not given out meanwhile: a store that keeps
 * nothing could fetch them here and prove this agent's own copies, for which they are dropped then (P5).
 */
import { type ChunkId, type HexId, toHex } from './ids.ts';

export interface AskedChunks {
  /** Runs while the chunks are asked for. */
  during<T>(ids: readonly ChunkId[], question: () => Promise<T>): Promise<T>;
  has(id: ChunkId): boolean;
  /** Resolves when no question is about the chunk. */
  ended(id: ChunkId): Promise<void>;
}

interface Question {
  count: number;
  readonly waiting: (() => void)[];
}

export function createAskedChunks(): AskedChunks {
  const asked = new Map<HexId, Question>();
  const begin = (key: HexId): void => {
    const question = asked.get(key) ?? { count: 0, waiting: [] };
    question.count++;
    asked.set(key, question);
  };
  const end = (key: HexId): void => {
    const question = asked.get(key)!;
    if (--question.count > 0) return;
    asked.delete(key);
    for (const go of question.waiting) go();
  };
  return {
    during: async (ids, question) => {
      const keys = ids.map(toHex);
      keys.forEach(begin);
      try {
        return await question();
      } finally {
        keys.forEach(end);
      }
    },
    has: (id) => asked.size > 0 && asked.has(toHex(id)),
    ended: async (id) => {
      for (let question = asked.get(toHex(id)); question !== undefined; question = asked.get(toHex(id)))
        await new Promise<void>((resolve) => question?.waiting.push(resolve));
    },
  };
}
