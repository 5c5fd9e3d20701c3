/** Captures a root that is a single file. */
import { EdgeError } from '../core/errors.ts';
import type { FileOutcome } from '../pipeline/file-outcome.ts';
import { FolderStateReader, FolderStateWriter, STAT_AT, sizeOf, TYPE_CODES } from '../pipeline/folder-state.ts';
import { SMALL_FILE_BYTES_MAX } from '../pipeline/read-files.ts';
import { decodeEntry } from '../tree/decode-entry.ts';
import type { Entry } from '../tree/entry.ts';
import type { CaptureRun } from './capture-run.ts';
import { encodedOf } from './folder-files.ts';
import { LargeFiles } from './large-files.ts';
import type { RootSource } from './root-source.ts';
import { type SmallFile, SmallFiles } from './small-files.ts';
import { CHANGED_WHILE_READ } from './tally.ts';

const ROOT_PATH = new Uint8Array(0);

/** The file's entry, with an empty name as roots have. An unreadable one is E_IO or E_DENIED: there is nothing else to capture. */
export async function captureFileRoot(source: RootSource & { readonly kind: 'file' }, run: CaptureRun): Promise<Entry> {
  const { input, deps, tally, before } = run;
  const { base, name } = source;
  const cached = deps.index.folders.get(input.root.name, ROOT_PATH);
  const row = cached === undefined ? undefined : new Uint8Array(cached.value);
  const believed =
    row !== undefined && input.fullScan !== true && (cached!.epoch === run.epoch || (await rowStored(row, run)));
  const settings = { base, captureSeconds: run.captureSeconds, leftOut: [] };
  const rows = row === undefined ? [] : [new Uint8Array(row)];
  const request = { path: ROOT_PATH, rows, isAligned: true, readAll: !believed, trusted: believed, only: name };
  const [reply] = (await deps.pool.run('scan', { settings, folders: [request] })).folders;
  const failure = reply!.failure ?? reply!.failures[0];
  if (failure !== undefined) throw new EdgeError('E_IO', `the file cannot be read: ${failure.message}`);
  tally.addScanned(reply!.counts);
  tally.matched += before?.body.entry.type === 'file' ? 1 : 0;
  if (reply!.pending.length === 0) {
    tally.files.unchanged++;
    tally.addStored(reply!.counts);
    const state = FolderStateReader.open(row ?? ROOT_PATH);
    if (state?.next() !== true) throw new EdgeError('E_NOT_FOUND', 'the file went away while it was captured');
    return asRoot(state.encoded());
  }
  const state = reply!.state!;
  const size = sizeOf(new Uint32Array(state.buffer, 0, state.length >> 2), (reply!.pending[1]! + STAT_AT) >> 2);
  if (input.dryRun === true) {
    tally.files[before === undefined ? 'new' : 'changed']++;
    tally.bytesRead += size;
    return before?.body.entry ?? NOTHING;
  }
  const { outcome, records } = await read({ folder: ROOT_PATH, name, size }, base, run);
  if (outcome.kind === 'gone') throw new EdgeError('E_NOT_FOUND', 'the file went away while it was captured');
  if (outcome.kind !== 'read') {
    const { code, message } =
      outcome.kind === 'failed' ? outcome : { code: 'EFBIG', message: 'it grew while it was read' };
    throw new EdgeError(
      code === 'EACCES' || code === 'EPERM' ? 'E_DENIED' : 'E_IO',
      `the file cannot be read: ${message}`,
    );
  }
  tally.bytesRead += size;
  const encoded = encodedOf(records, outcome.at);
  const isSame = before?.body.entry.type === 'file' && Buffer.from(encoded).equals(beforeEncoded(row));
  tally.files[before === undefined ? 'new' : isSame ? 'unchanged' : 'changed']++;
  if (outcome.changedWhileRead) {
    const message = 'it changed each time while it was read; what was read is stored and marked';
    tally.fail(ROOT_PATH, { name: ROOT_PATH, code: CHANGED_WHILE_READ, message }, false);
  }
  tally.addStored({ files: 1, dirs: 0, others: 0, bytes: size });
  run.rows.add(ROOT_PATH, rowOf(records, outcome.at, encoded, name));
  return asRoot(encoded);
}

const NOTHING: Entry = { name: ROOT_PATH, type: 'file', mtimeNs: 0n, posix: { mode: 0, uid: 0, gid: 0 }, size: 0 };

async function read(
  file: Omit<SmallFile, 'done'>,
  base: Uint8Array,
  run: CaptureRun,
): Promise<{ outcome: FileOutcome; records: Uint8Array }> {
  const { deps, lanes, intake, captureSeconds, fail } = run;
  const { pool } = deps;
  const once = async (size: number): Promise<{ outcome: FileOutcome; records: Uint8Array }> => {
    const small = new SmallFiles({ pool, lanes, intake, base, captureSeconds, fail, isFailed: () => run.isFailed });
    const large = new LargeFiles({
      pool,
      intake,
      base,
      captureSeconds,
      fail,
      progress: (bytes) => {
        run.tally.done.bytes += bytes;
        run.reportProgress(true);
      },
      isStopped: () => run.isFailed || deps.signal?.aborted === true,
    });
    let result: { outcome: FileOutcome; records: Uint8Array } | undefined;
    const wanted: SmallFile = { ...file, size, done: (outcome, records) => (result = { outcome, records }) };
    if (size > SMALL_FILE_BYTES_MAX) await large.add(wanted);
    else await small.add(wanted);
    await small.send();
    await lanes.idle();
    await large.idle();
    run.throwFailure();
    if (result !== undefined) return result;
    await run.writer.flush();
    throw new EdgeError('E_INTERRUPTED', 'interrupted; what is stored so far is kept and will not be stored again');
  };
  const first = await once(file.size);
  // It grew beyond what is read at once since it was looked at.
  return first.outcome.kind === 'large' ? once(first.outcome.size) : first;
}

async function rowStored(row: Uint8Array, run: CaptureRun): Promise<boolean> {
  const { ids } = await run.deps.pool.run('stateChunks', { rows: [row] });
  return ids[0] !== undefined && run.allStored(ids[0]);
}

function beforeEncoded(row: Uint8Array | undefined): Uint8Array {
  const state = row === undefined ? undefined : FolderStateReader.open(row);
  return state?.next() === true ? state.encoded() : ROOT_PATH;
}

function rowOf(records: Uint8Array, at: number, encoded: Uint8Array, name: Uint8Array): Uint8Array {
  const words = new Uint32Array(records.buffer, records.byteOffset, records.length >> 2);
  const writer = new FolderStateWriter();
  writer.start();
  writer.add(TYPE_CODES.file, records[at + 3]!, words, (at + STAT_AT) >> 2, name, encoded);
  return writer.take();
}

function asRoot(encoded: Uint8Array): Entry {
  return { ...decodeEntry(encoded), name: ROOT_PATH };
}
