/** What reading chunks needs, with bad copies noted in the index so that they are not offered again. */
import { type ChunkReaderDeps, noteIfRoom } from '@edgestore/engine';
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
  const { id, pack } = bad.address;
  // An absent pack was moved meanwhile, or its disk is away: the local source finds out which, and marks that itself.
  if (pack === undefined || bad.source.kind !== 'local' || bad.reason === 'absent') return;
  const { reason, detail } = bad;
  noteIfRoom(() => engine.index.chunks.markCopies([{ id, pack, reason, why: detail }]));
}
