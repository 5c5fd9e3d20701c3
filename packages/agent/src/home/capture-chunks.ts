/**
 * The own store as a capture uses it, but for reading the trees of the snapshot before: on a machine that was recovered they lie only elsewhere, and
 * without them a capture would take every file for gone.
 */
import { type ChunkStore, isEdgeError, type SealedAddress, type SealedSource } from '@edgestore/engine';

export type CaptureChunks = Pick<ChunkStore, 'fetch' | 'freeSpace' | 'locate' | 'openWriter'>;

/** For one capture: a source that could not be asked once is not asked again by it. */
export function captureChunks(own: ChunkStore, sources: readonly SealedSource[]): CaptureChunks {
  const others = sources.filter((source) => source !== own);
  const away = new Set<SealedSource>();
  const sourceOf = new WeakMap<SealedAddress, SealedSource>();

  return {
    freeSpace: () => own.freeSpace(),
    openWriter: (options) => own.openWriter(options),
    async locate(ids, signal) {
      const found = await own.locate(ids, signal);
      for (const source of others) {
        const missing = found.flatMap((address, i) => (address === undefined ? [i] : []));
        if (missing.length === 0) break;
        if (away.has(source)) continue;
        try {
          const there = await source.locate(
            missing.map((i) => ids[i]!),
            signal,
          );
          for (const [k, i] of missing.entries()) {
            const address = there[k];
            if (address === undefined) continue;
            found[i] = address;
            sourceOf.set(address, source);
          }
        } catch (error) {
          signal?.throwIfAborted();
          if (!isEdgeError(error)) throw error;
          // The capture does without; its guard then counts what it cannot compare as gone, and says so.
          away.add(source);
        }
      }
      return found;
    },
    async *fetch(addresses, signal) {
      const groups = new Map<SealedSource, SealedAddress[]>();
      for (const address of addresses) {
        const source = sourceOf.get(address) ?? own;
        groups.set(source, [...(groups.get(source) ?? []), address]);
      }
      for (const [source, group] of groups) {
        try {
          yield* source.fetch(group, signal);
        } catch (error) {
          signal?.throwIfAborted();
          if (source === own || !isEdgeError(error)) throw error;
          away.add(source);
          for (const address of group) yield { address, reason: 'absent', detail: `${source.label} went away` };
        }
      }
    },
  };
}
