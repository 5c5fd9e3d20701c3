/** What reading chunks needs, with bad copies noted in the index so that they are not offered again. */
import type { ChunkReaderDeps } from '@edgestore/engine';
import type { Opened } from './opened.ts';
import type { OperationContext } from './operation.ts';

export function readerDeps({ engine, sources }: Opened, { warn }: Pick<OperationContext, 'warn'>): ChunkReaderDeps {
  return { sources, opener: engine.opener, warn, onBadCopy: (bad) => noteBadCopy(bad, engine) };
}

/** A copy on this agent's own disk is marked; a bucket's source marks its own, and peers look after theirs. */
export function noteBadCopy(
  bad: Parameters<NonNullable<ChunkReaderDeps['onBadCopy']>>[0],
  engine: Opened['engine'],
): void {
  const pack = bad.address.pack;
  if (pack !== undefined && bad.source.kind === 'local') engine.index.chunks.markBad(bad.address.id, pack, bad.detail);
}
