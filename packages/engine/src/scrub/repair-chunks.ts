/** Mends this disk's damage from other copies: the new copy is durable and known before anything else changes. */

import { hash } from 'node:crypto';
import { asBuffer } from '../core/bytes.ts';
import { isEdgeError } from '../core/errors.ts';
import { failpoint } from '../core/failpoint.ts';
import { type ChunkId, ChunkKind, type PackClass } from '../core/ids.ts';
import type { ChunkWriter } from '../core/ports/chunk-store.ts';
import type { ScrubDeps, ScrubFinding } from './scrub-types.ts';

type Finding = { -readonly [Key in keyof ScrubFinding]: ScrubFinding[Key] };

/** Sets `repaired` where a good copy is on this disk again. What has none elsewhere stays a finding. */
export async function repairChunks(findings: readonly Finding[], deps: ScrubDeps): Promise<void> {
  const classOf = new Map(deps.index.packs('').map((pack) => [pack.name, pack.packClass]));
  const own = findings.filter((finding) => finding.store === '');
  if (own.length === 0) return;
  const session = deps.index.beginSession('scrub');
  const writer = deps.chunks.openWriter(session);
  const mended: Finding[] = [];
  const rewritten: { finding: Finding; ids: ChunkId[] }[] = [];
  try {
    for (const finding of own) {
      const packClass = classOf.get(finding.pack) ?? 'data';
      if (finding.chunk !== undefined) {
        if (await mend(writer, finding.chunk, packClass, deps)) mended.push(finding);
        continue;
      }
      // Only the pack's index is damaged: its good frames move to a new pack.
      const ids = deps.index.framesOf(finding.pack).map((row) => row.id);
      const moved: ChunkId[] = [];
      for (const id of ids) if (await mend(writer, id, packClass, deps)) moved.push(id);
      if (moved.length > 0) rewritten.push({ finding, ids: moved });
    }
    await writer.flush();
    failpoint('scrub.repaired');
    for (const finding of mended) finding.repaired = true;
    for (const { finding, ids } of rewritten) {
      for (const id of ids) deps.index.markBad(id, finding.pack, 'the index of its pack is damaged');
      finding.repaired = true;
    }
    await writer.close();
  } catch (error) {
    await writer.abandon();
    throw error;
  } finally {
    deps.index.endSession(session);
  }
}

/** False when no source has a good copy. */
async function mend(writer: ChunkWriter, id: ChunkId, packClass: PackClass, deps: ScrubDeps): Promise<boolean> {
  // A store sees only meta or data.
  const kinds = packClass === 'data' ? [ChunkKind.data] : [ChunkKind.tree, ChunkKind.list];
  try {
    const { sealed, keyId } = await deps.reader.chunks.readSealed(kinds, id, deps.signal);
    const sha256 = hash('sha256', asBuffer(sealed), 'buffer');
    await writer.add({ id, packClass, keyId, bytes: sealed, sha256, identified: true });
    return true;
  } catch (error) {
    deps.signal?.throwIfAborted();
    // Absent, damaged, or its store out of reach: said by the reader, and the finding stays.
    if (!isEdgeError(error, 'E_INTEGRITY', 'E_STORE', 'E_ARCHIVED', 'E_DENIED', 'E_TIMEOUT')) throw error;
    return false;
  }
}
