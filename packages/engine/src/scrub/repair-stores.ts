/**
 * Mends damage in buckets: each store's normal pass puts again what it lacks. What no pass puts comes back to this
 * disk, and is moved again by a tier run.
 */
import { EdgeError, isEdgeError, toEdgeError } from '../core/errors.ts';
import type { PackClass, PackName } from '../core/ids.ts';
import { mend } from './repair-chunks.ts';
import type { ScrubDeps, ScrubFinding, ScrubStore } from './scrub-types.ts';

type Finding = { -readonly [Key in keyof ScrubFinding]: ScrubFinding[Key] };

/**
 * Sets `repaired` where the store has a good copy again, or this disk where the store is a cold tier. Copies that were
 * found bad are marked by now.
 */
export async function repairStores(findings: readonly Finding[], deps: ScrubDeps): Promise<void> {
  for (const store of deps.stores) {
    const classOf = new Map(deps.index.packs(store.store).map((pack) => [pack.name, pack.packClass]));
    // A pack without rows may have the only copy of anything.
    const own = findings.filter((finding) => finding.store === store.store && classOf.has(finding.pack));
    const isPut = ({ pack }: Finding): boolean => store.refill?.scope === 'all' || classOf.get(pack) === 'meta';
    await putAgain(own.filter(isPut), store, deps);
    await bringHere(
      own.filter((finding) => !isPut(finding)),
      store,
      classOf,
      deps,
    );
  }
}

async function putAgain(findings: readonly Finding[], { store, label, refill }: ScrubStore, deps: ScrubDeps) {
  if (findings.length === 0 || refill === undefined) return;
  try {
    await refill.run(deps.signal);
  } catch (error) {
    deps.signal?.throwIfAborted();
    if (isEdgeError(error, 'E_NEWER_FORMAT')) throw error;
    const { code, message } = toEdgeError(error);
    deps.warn({ code, message: `${label} could not be mended: ${message}` });
    return;
  }
  const copies = deps.index.locate(findings.flatMap(({ chunk }) => chunk ?? []));
  let next = 0;
  for (const finding of findings)
    finding.repaired =
      finding.chunk === undefined
        ? deps.index.packByName(finding.pack, store)?.marked === undefined
        : copies[next++]!.some((copy) => copy.store === store);
}

/** Chunks of a cold tier: they were moved there, and nothing but a tier run puts them there again. */
async function bringHere(
  findings: readonly Finding[],
  { store }: ScrubStore,
  classOf: ReadonlyMap<PackName, PackClass>,
  deps: ScrubDeps,
): Promise<void> {
  if (findings.length === 0) return;
  const session = deps.index.beginSession('scrub');
  const writer = deps.chunks.openWriter();
  const mended: Finding[] = [];
  try {
    for (const finding of findings) {
      const packClass = classOf.get(finding.pack)!;
      const ids =
        finding.chunk === undefined ? deps.index.allFramesOf(finding.pack, store).map(({ id }) => id) : [finding.chunk];
      const copies = deps.index.locate(ids);
      const lacking = ids.filter((_, i) => !copies[i]!.some((copy) => copy.store === ''));
      let isWhole = true;
      for (const id of lacking) isWhole = (await mend(writer, id, packClass, deps)) && isWhole;
      if (isWhole) mended.push(finding);
    }
    await writer.flush();
    await writer.close();
  } catch (error) {
    await writer.abandon();
    throw error instanceof EdgeError ? error : toEdgeError(error, 'scrub');
  } finally {
    deps.index.endSession(session);
  }
  for (const finding of mended) {
    finding.repaired = true;
    // Rows of copies that nobody can use: the next tier run puts the chunks into the store again.
    if (finding.chunk === undefined) deps.index.forgetPack(finding.pack, store);
    else deps.index.forgetBadCopies([finding.chunk], () => false);
  }
}
