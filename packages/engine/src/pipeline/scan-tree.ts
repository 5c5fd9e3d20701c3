/** Scans a folder and, along with it, those below whose cache rows came with the request: a message for each of them would cost more than the look. */
import { bytesEqual } from '../core/bytes.ts';
import { joinPath } from '../files/path-bytes.ts';
import { readFolderRows, rowKey } from './folder-rows.ts';
import { FolderStateReader } from './folder-state.ts';
import { scanFolder } from './scan-folder.ts';
import type { ScannedAlong, ScannedFolder, ScanReply, ScanRequest, ScanSettings, SubtreeCounts } from './scan-types.ts';

export function scanTree(settings: ScanSettings, request: ScanRequest): ScanReply {
  const { below, ...top } = request;
  return scanWith(settings, top, below === undefined ? NO_ROWS : readFolderRows(below));
}

const NO_ROWS: ReadonlyMap<string, Uint8Array> = new Map();

function scanWith(settings: ScanSettings, request: ScanRequest, rows: ReadonlyMap<string, Uint8Array>): ScanReply {
  const reply = scanFolder(settings, request);
  // Rules of its own are first added to the chain, and that is numbered elsewhere.
  if (rows.size === 0 || reply.dirs.length === 0 || reply.ignoreText !== undefined) return reply;
  const dirs: ScannedFolder[] = [];
  let asBefore: Sums | undefined;
  for (const dir of reply.dirs) {
    const along = dir.closed ? undefined : scanAlong(settings, request, dir, rows);
    if (along === undefined) dirs.push(dir);
    else if (isAsBefore(dir, along)) asBefore = plus(asBefore, along.reply);
    else dirs.push({ ...dir, along });
  }
  return { ...reply, dirs, ...(asBefore === undefined ? {} : { asBefore }) };
}

function scanAlong(
  settings: ScanSettings,
  { path: parent, ignore }: ScanRequest,
  { name, inode }: ScannedFolder,
  rows: ReadonlyMap<string, Uint8Array>,
): ScannedAlong | undefined {
  const path = joinPath(parent, name);
  const row = rows.get(rowKey(path));
  const state = row === undefined ? undefined : FolderStateReader.open(row);
  if (row === undefined || state === undefined || state.parts > 1) return undefined;
  const request = { path, ignore, inode, rows: [row], isAligned: true, readAll: false, trusted: true };
  return { reply: scanWith(settings, request, rows), rowPages: state.pageBytes() };
}

/** Nothing in the folder or below it is to be told, read, stored or counted one by one; and the entry names the pages of the row. */
function isAsBefore(dir: ScannedFolder, { reply, rowPages }: ScannedAlong): boolean {
  return (
    reply.unchanged &&
    reply.dirs.length === 0 &&
    reply.links.length === 0 &&
    reply.failures.length === 0 &&
    reply.notices.length === 0 &&
    !dir.isFresh &&
    bytesEqual(dir.pages, rowPages)
  );
}

type Sums = { -readonly [Key in keyof SubtreeCounts]: SubtreeCounts[Key] };

function plus(sums: Sums | undefined, { counts, matched, others, asBefore }: ScanReply): Sums {
  const sum = sums ?? { files: 0, dirs: 0, others: 0, bytes: 0, matched: 0, unchanged: 0 };
  sum.files += counts.files + (asBefore?.files ?? 0);
  sum.dirs += counts.dirs + (asBefore?.dirs ?? 0);
  sum.others += counts.others + (asBefore?.others ?? 0);
  sum.bytes += counts.bytes + (asBefore?.bytes ?? 0);
  sum.matched += matched + (asBefore?.matched ?? 0);
  sum.unchanged += others.unchanged + (asBefore?.unchanged ?? 0);
  return sum;
}

/** The memory of all states in a reply. */
export function* statesIn(reply: ScanReply): Generator<ArrayBuffer> {
  if (reply.state !== undefined) yield reply.state.buffer;
  for (const { along } of reply.dirs) if (along !== undefined) yield* statesIn(along.reply);
}
