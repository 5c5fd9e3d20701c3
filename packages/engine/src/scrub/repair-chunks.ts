/** Mends this disk's damage from other copies: the new copy is durable and known before anything else changes. */

import { hash } from 'node:crypto';
import { rm } from 'node:fs/promises';
import { asBuffer } from '../core/bytes.ts';
import { isEdgeError } from '../core/errors.ts';
import { failpoint } from '../core/failpoint.ts';
import { type ChunkId, ChunkKind, type PackClass, type PackName } from '../core/ids.ts';
import type { ChunkWriter } from '../core/ports/chunk-store.ts';
import type { PackRow } from '../core/ports/index.ts';
import type { ScrubbedPack } from '../pipeline/tasks/scrub-pack.ts';
import type { ScrubDeps, ScrubFinding } from './scrub-types.ts';

type Finding = { -readonly [Key in keyof ScrubFinding]: ScrubFinding[Key] };

/** Sets `repaired` where a good copy is on this disk again. What has none elsewhere stays a finding. */
export async function repairChunks(
  findings: readonly Finding[],
  deps: ScrubDeps,
  readAgain: (pack: Pick<PackRow, 'name' | 'packClass'>) => Promise<ScrubbedPack>,
): Promise<void> {
  const classOf = new Map(deps.index.packs('').map((pack) => [pack.name, pack.packClass]));
  // A pack without rows may have the only copy of anything: nothing tells that its file is not needed.
  const own = findings.filter((finding) => finding.store === '' && classOf.has(finding.pack));
  if (own.length === 0) return;
  const session = deps.index.beginSession('scrub');
  const writer = deps.chunks.openWriter();
  const mended: Finding[] = [];
  const rewritten: Finding[] = [];
  try {
    for (const finding of own) {
      const packClass = classOf.get(finding.pack) ?? 'data';
      if (finding.chunk !== undefined) {
        if (await mend(writer, finding.chunk, packClass, deps)) mended.push(finding);
        continue;
      }
      // Only the pack's index is damaged: its frames move to a new pack, from wherever they are good.
      let isWhole = true;
      for (const { id } of deps.index.allFramesOf(finding.pack))
        isWhole = (await mend(writer, id, packClass, deps)) && isWhole;
      if (isWhole) rewritten.push(finding);
    }
    await writer.flush();
    failpoint('scrub.repaired');
    for (const finding of mended) finding.repaired = true;
    for (const finding of rewritten)
      finding.repaired = await replacePack(finding.pack, classOf.get(finding.pack)!, deps, readAgain);
    await writer.close();
  } catch (error) {
    await writer.abandon();
    throw error;
  } finally {
    deps.index.endSession(session);
  }
}

/**
 * All of a pack was written again. The same chunks in the same order make a pack of the same name, which then has replaced the damaged file; in
 * any other case the old one goes, rows first: a file without rows is only looked at again, rows without a file would be a loss.
 */
async function replacePack(
  name: PackName,
  packClass: PackClass,
  deps: ScrubDeps,
  readAgain: (pack: Pick<PackRow, 'name' | 'packClass'>) => Promise<ScrubbedPack>,
): Promise<boolean> {
  const { tail, bad, absent } = await readAgain({ name, packClass });
  if (tail === undefined && bad.length === 0 && !absent) return true;
  // Marked frames too: one that could not be read may be the only copy there is.
  const ids = deps.index.allFramesOf(name).map((row) => row.id);
  if (ids.length === 0) return false;
  const copies = deps.index
    .locate(ids)
    .map((ones) => ones.find((copy) => copy.store === '' && copy.pack !== name))
    .filter((copy) => copy !== undefined);
  if (copies.length < ids.length) return false;
  // A row is not proof: each copy is read again before the file goes.
  for await (const outcome of deps.chunks.verify(copies, deps.signal)) if (!('sealed' in outcome)) return false;
  deps.index.forgetPack(name);
  await rm(deps.chunks.packPath(name), { force: true });
  return true;
}

/** False when no source has a good copy. */
export async function mend(writer: ChunkWriter, id: ChunkId, packClass: PackClass, deps: ScrubDeps): Promise<boolean> {
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
