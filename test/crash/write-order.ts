/** The order of durable steps that docs/invariants.md states, looked for in the system calls of a real run. */
import { dirname } from 'node:path';
import type { Syscall } from './strace.ts';

export interface WriteOrderInput {
  readonly calls: readonly Syscall[];
  readonly dataDir: string;
  /** What the acknowledgement on stdout contains. */
  readonly acknowledgement: string;
  /** Packs are written for what the record reaches only; without it (a merge follows) later packs are allowed. */
  readonly recordComesLast: boolean;
}

/** What was seen, so that a test can tell "in order" from "did not happen". */
export interface WriteOrder {
  readonly problems: readonly string[];
  readonly packs: number;
  readonly renames: number;
  readonly appends: number;
  readonly unlinkedPacks: number;
}

const PACK = /\/packs\/[0-9a-f]{2}\/([0-9a-f]{64})\.pack$/;

export function writeOrder(input: WriteOrderInput): WriteOrder {
  const inside = input.calls.filter((call) => !call.failed && call.path.startsWith(`${input.dataDir}/`));
  const ours = [...inside, ...input.calls.filter((call) => call.path === input.dataDir)];
  const syncs = ours.filter(({ name }) => name === 'fsync' || name === 'fdatasync');
  const writes = inside.filter(({ name }) => /write/.test(name));
  const renames = inside.filter(({ name }) => name.startsWith('rename'));
  const appends = writes.filter(({ path }) => /\/chains\/.*\.(chain|bodies)$/.test(path));
  const indexWrites = writes.filter(({ path }) => /\/index\.sqlite(-wal)?$/.test(path));
  const unlinkedPacks = inside.filter(({ name, path }) => name.startsWith('unlink') && PACK.test(path));
  const acknowledged = input.calls.find((call) => call.fd === 1 && call.data.includes(input.acknowledgement));
  const problems: string[] = [];
  const short = (path: string): string => path.slice(input.dataDir.length + 1);

  const firstSync = (path: string, after: number, before = Number.POSITIVE_INFINITY): Syscall | undefined =>
    syncs.find((sync) => sync.path === path && sync.start > after && sync.end < before);

  if (acknowledged === undefined) problems.push('nothing was acknowledged on stdout');

  for (const rename of renames) {
    const written = writes.filter(({ path, start }) => path === rename.path && start < rename.start);
    const lastWrite = Math.max(-1, ...written.map(({ end }) => end));
    if (written.length > 0 && firstSync(rename.path, lastWrite, rename.start) === undefined)
      problems.push(`${short(rename.path)} got its name before its bytes were fsynced`);
    const folderSync = firstSync(dirname(rename.to), rename.end);
    if (folderSync === undefined) problems.push(`the folder of ${short(rename.to)} was not fsynced after the rename`);
    checkPack(rename, folderSync);
  }

  for (const append of appends) {
    const sync = firstSync(append.path, append.end);
    if (sync === undefined) problems.push(`${short(append.path)} was not fsynced after the append`);
    else if (acknowledged !== undefined && sync.end > acknowledged.start)
      problems.push(`stdout acknowledged before ${short(append.path)} was fsynced`);
    if (append.offset === 0 && firstSync(dirname(append.path), append.end, acknowledged?.start) === undefined)
      problems.push(`the folder of ${short(append.path)}, which is new, was not fsynced`);
  }

  const lastAppend = appends.at(-1);
  if (input.recordComesLast && lastAppend !== undefined) {
    const later = writes.find(({ path, start }) => /\/packs\//.test(path) && start > lastAppend.start);
    if (later !== undefined) problems.push(`the record was appended before ${short(later.path)} was written`);
  }

  for (const unlink of unlinkedPacks) {
    const named = unlink.path.match(PACK)?.[1] ?? '';
    // The swap notes the old pack as doomed in the same transaction that brings the rows of the new one.
    const swap = indexWrites.find(
      ({ data, start }) => data.includes(Buffer.from(named, 'hex')) && start > lastRenameBefore(unlink),
    );
    const durable = swap === undefined ? undefined : syncOfIndex(swap.end);
    if (durable === undefined || durable.end > unlink.start)
      problems.push(`${short(unlink.path)} was unlinked before the index had let go of it durably`);
  }

  return {
    problems,
    packs: renames.filter(({ to }) => PACK.test(to)).length,
    renames: renames.length,
    appends: appends.length,
    unlinkedPacks: unlinkedPacks.length,
  };

  function checkPack(rename: Syscall, folderSync: Syscall | undefined): void {
    const name = rename.to.match(PACK)?.[1];
    if (name === undefined) return;
    const row = indexWrites.find(({ data }) => data.includes(Buffer.from(name, 'hex')));
    if (row === undefined) {
      problems.push(`the index never named ${short(rename.to)}`);
      return;
    }
    if (folderSync === undefined || row.start < folderSync.end)
      problems.push(`the index named ${short(rename.to)} before its folder was fsynced`);
    const durable = syncOfIndex(row.end);
    // Every record that is appended after this pack was begun may reach what is in it.
    const begun = writes.find(({ path }) => path === rename.path)?.start ?? rename.start;
    const record = appends.find(({ start }) => start > begun);
    if (record !== undefined && (durable === undefined || record.start < durable.end))
      problems.push(`a record was appended before ${short(rename.to)} was durable and indexed`);
  }

  function syncOfIndex(after: number): Syscall | undefined {
    return syncs.find(({ path, start }) => /\/index\.sqlite(-wal)?$/.test(path) && start > after);
  }

  function lastRenameBefore(call: Syscall): number {
    return Math.max(-1, ...renames.filter(({ to, end }) => PACK.test(to) && end < call.start).map(({ end }) => end));
  }
}
