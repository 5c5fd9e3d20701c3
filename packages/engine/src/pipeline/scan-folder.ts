/** Scans one folder: lists it, reads its own rules, and compares it with what is remembered. */
import { errnoOf } from '../core/errors.ts';
import { lastErrno } from '../files/libc.ts';
import type { NameList } from '../files/list-folder.ts';
import { closeFd, openFolder } from '../files/open-file.ts';
import { rawStat, rewind, statFolder } from '../files/raw-listing.ts';
import { systemError } from '../files/system-error.ts';
import { type FolderListing, readListing } from './folder-listing.ts';
import { cutIntoParts, PART_ENTRIES_MAX } from './folder-parts.ts';
import { FolderScan } from './folder-scan.ts';
import { inodeKey, STAT_WORDS, statFromStatx } from './folder-state.ts';
import { compileIgnoreChain } from './ignore-chain.ts';
import { quickLook } from './quick-look.ts';
import type { NameRange, ScanReply, ScanRequest, ScanSettings } from './scan-types.ts';

const EMPTY = new Uint8Array(0);
const stat = new Uint32Array(STAT_WORDS);

/** The listing of a large folder between the requests for its parts. One: they are asked for one after the other. */
let kept: { readonly key: string; readonly listing: FolderListing } | undefined;

/** Scans one folder. Never throws for what is wrong with the folder or its entries; those are in the reply. */
export function scanFolder(settings: ScanSettings, request: ScanRequest): ScanReply {
  let dir: number;
  try {
    dir = openFolder(settings.base, request.path);
  } catch (error) {
    return failed(error);
  }
  try {
    if (request.inode !== undefined && inodeOf(dir) !== request.inode) return failed(swapped());
    const reply = quickLook(settings, request, dir);
    if (reply !== undefined) return reply;
    rewind(dir);
    return scanOpen(settings, request, dir);
  } catch (error) {
    return failed(error);
  } finally {
    closeFd(dir);
  }
}

function scanOpen(settings: ScanSettings, request: ScanRequest, dir: number): ScanReply {
  const key = `${settings.captureSeconds} ${inodeOf(dir)} ${Buffer.from(request.path).toString('latin1')}`;
  const { range } = request;
  const listing = range !== undefined && kept?.key === key ? kept.listing : readListing(dir, request.only);
  const { names, ignoreText } = listing;
  if (range === undefined && (names.length > PART_ENTRIES_MAX || request.inParts === true)) {
    kept = { key, listing };
    const { failures, notices } = listing;
    return {
      ...NOTHING,
      parts: cutIntoParts(names),
      failures,
      notices,
      ...(ignoreText === undefined ? {} : { ignoreText }),
    };
  }
  // The chain of a part has the folder's own rules already.
  const matcher = compileIgnoreChain(request.ignore, request.path, range === undefined ? ignoreText : undefined);
  const scan = new FolderScan(settings, request, dir);
  if (range !== undefined) {
    const reply = scan.run(namesIn(names, range), matcher);
    if (range.upTo === undefined) kept = undefined;
    return reply;
  }
  const reply = scan.run(names, matcher);
  return {
    ...reply,
    failures: [...listing.failures, ...reply.failures],
    notices: [...listing.notices, ...reply.notices],
    ...(ignoreText === undefined ? {} : { ignoreText }),
  };
}

function namesIn(names: NameList, { after, upTo }: NameRange): Iterable<Buffer> {
  const from = after === undefined ? 0 : names.firstAfter(after);
  return names.slice(from, upTo === undefined ? names.length : names.firstAfter(upTo));
}

function inodeOf(dir: number): string {
  if (!statFolder(dir)) throw systemError('statx', lastErrno());
  statFromStatx(rawStat, stat);
  return inodeKey(stat, 0);
}

function swapped(): Error {
  return Object.assign(new Error('it was replaced by another folder while it was scanned'), { code: 'ECHANGED' });
}

const NOTHING: ScanReply = {
  unchanged: false,
  pending: new Uint32Array(0),
  dirs: [],
  links: [],
  removedDirs: [],
  matched: 0,
  others: { unchanged: 0, changed: 0, added: 0 },
  counts: { files: 0, dirs: 0, others: 0, bytes: 0 },
  failures: [],
  notices: [],
};

function failed(error: unknown): ScanReply {
  const code = errnoOf(error);
  if (code === undefined) throw error;
  if (code === 'ENOENT') return { ...NOTHING, gone: true };
  return { ...NOTHING, failure: { name: EMPTY, code, message: (error as Error).message } };
}
