/**
 * Headers of tar archives in the pax interchange format (POSIX.1-2017, `pax`, "pax Header Block" and "ustar Header Block"): what does not fit a
 * ustar header goes into a pax header before it. Names that are no UTF-8 are announced with `hdrcharset=BINARY`.
 */
import { asBuffer } from '../core/bytes.ts';
import type { Entry } from '../tree/entry.ts';

export const TAR_BLOCK_BYTES = 512;

const TYPE_FLAGS = { file: '0', link: '1', symlink: '2', chardev: '3', blockdev: '4', dir: '5', fifo: '6' } as const;
const PAX_FLAG = 'x';
const OCTAL_8_MAX = 0o7777777;
const OCTAL_12_MAX = 0o77777777777;
const NAME_BYTES = 100;
const utf8 = new TextDecoder('utf-8', { fatal: true });

/** Pax header (when needed) and ustar header of one member. `linkTo`: the member is another name of an earlier one. */
export function tarHeader(path: Uint8Array, entry: Entry, linkTo: Uint8Array | undefined): Uint8Array {
  const isFolder = entry.type === 'dir';
  const name = isFolder ? Buffer.concat([path, Buffer.from('/')]) : path;
  const link = linkTo ?? entry.target;
  const size = entry.type === 'file' && linkTo === undefined ? (entry.size ?? 0) : 0;
  const { mode, uid, gid, rdev, xattrs } = entry.posix;
  const seconds = floorSeconds(entry.mtimeNs);
  const records: Uint8Array[] = [];
  if (needsBinary(name) || (link !== undefined && needsBinary(link))) records.push(paxRecord('hdrcharset', 'BINARY'));
  if (name.length > NAME_BYTES || !isPlain(name)) records.push(paxRecord('path', name));
  if (link !== undefined && (link.length > NAME_BYTES || !isPlain(link))) records.push(paxRecord('linkpath', link));
  if (size > OCTAL_12_MAX) records.push(paxRecord('size', String(size)));
  if (uid > OCTAL_8_MAX) records.push(paxRecord('uid', String(uid)));
  if (gid > OCTAL_8_MAX) records.push(paxRecord('gid', String(gid)));
  if (entry.mtimeNs % 1_000_000_000n !== 0n || seconds < 0n || seconds > BigInt(OCTAL_12_MAX)) {
    records.push(paxRecord('mtime', decimalSeconds(entry.mtimeNs)));
  }
  for (const xattr of xattrs ?? []) {
    // A keyword ends at the first `=`: an attribute with one in its name cannot be written.
    if (!xattr.name.includes(0x3d))
      records.push(paxRecord(Buffer.concat([Buffer.from('SCHILY.xattr.'), xattr.name]), xattr.value));
  }
  const header = ustar({
    name,
    mode,
    uid: Math.min(uid, OCTAL_8_MAX),
    gid: Math.min(gid, OCTAL_8_MAX),
    size: Math.min(size, OCTAL_12_MAX),
    mtime: Number(seconds < 0n ? 0n : seconds > BigInt(OCTAL_12_MAX) ? BigInt(OCTAL_12_MAX) : seconds),
    flag: linkTo === undefined ? TYPE_FLAGS[entry.type] : TYPE_FLAGS.link,
    link,
    rdev,
  });
  if (records.length === 0) return header;
  const body = Buffer.concat(records);
  const pax = ustar({
    name: Buffer.from('PaxHeader'),
    mode: 0o644,
    uid: 0,
    gid: 0,
    size: body.length,
    mtime: 0,
    flag: PAX_FLAG,
    link: undefined,
    rdev: undefined,
  });
  return Buffer.concat([pax, body, padding(body.length), header]);
}

/** Zeros up to the next block. */
export function padding(length: number): Uint8Array {
  return Buffer.alloc((TAR_BLOCK_BYTES - (length % TAR_BLOCK_BYTES)) % TAR_BLOCK_BYTES);
}

interface UstarFields {
  readonly name: Uint8Array;
  readonly mode: number;
  readonly uid: number;
  readonly gid: number;
  readonly size: number;
  readonly mtime: number;
  readonly flag: string;
  readonly link: Uint8Array | undefined;
  readonly rdev: { readonly major: number; readonly minor: number } | undefined;
}

function ustar(fields: UstarFields): Buffer {
  const block = Buffer.alloc(TAR_BLOCK_BYTES);
  block.set(fields.name.subarray(0, NAME_BYTES), 0);
  octal(block, 100, 8, fields.mode);
  octal(block, 108, 8, fields.uid);
  octal(block, 116, 8, fields.gid);
  octal(block, 124, 12, fields.size);
  octal(block, 136, 12, fields.mtime);
  block.fill(' ', 148, 156);
  block.write(fields.flag, 156, 'latin1');
  if (fields.link !== undefined) block.set(fields.link.subarray(0, NAME_BYTES), 157);
  block.write('ustar\0' + '00', 257, 'latin1');
  octal(block, 329, 8, Math.min(fields.rdev?.major ?? 0, OCTAL_8_MAX));
  octal(block, 337, 8, Math.min(fields.rdev?.minor ?? 0, OCTAL_8_MAX));
  let sum = 0;
  for (const byte of block) sum += byte;
  block.write(`${sum.toString(8).padStart(6, '0')}\0 `, 148, 'latin1');
  return block;
}

function octal(block: Buffer, at: number, width: number, value: number): void {
  block.write(`${value.toString(8).padStart(width - 1, '0')}\0`, at, 'latin1');
}

/** `length keyword=value\n`, where the length counts its own digits. */
function paxRecord(keyword: string | Uint8Array, value: string | Uint8Array): Uint8Array {
  const body = Buffer.concat([Buffer.from(' '), bytesOf(keyword), Buffer.from('='), bytesOf(value), Buffer.from('\n')]);
  let length = body.length + 1;
  while (String(length).length + body.length !== length) length = String(length).length + body.length;
  return Buffer.concat([Buffer.from(String(length)), body]);
}

function bytesOf(text: string | Uint8Array): Buffer {
  return typeof text === 'string' ? Buffer.from(text, 'utf8') : asBuffer(text);
}

function isPlain(bytes: Uint8Array): boolean {
  return bytes.every((byte) => byte < 0x80);
}

function needsBinary(bytes: Uint8Array): boolean {
  if (isPlain(bytes)) return false;
  try {
    utf8.decode(bytes);
    return false;
  } catch (error) {
    if (error instanceof TypeError) return true;
    throw error;
  }
}

function floorSeconds(ns: bigint): bigint {
  const seconds = ns / 1_000_000_000n;
  return ns % 1_000_000_000n < 0n ? seconds - 1n : seconds;
}

/** As pax writes times: `-1.5` is one and a half seconds before 1970. */
function decimalSeconds(ns: bigint): string {
  const size = ns < 0n ? -ns : ns;
  const fraction = String(size % 1_000_000_000n)
    .padStart(9, '0')
    .replace(/0+$/, '');
  return `${ns < 0n ? '-' : ''}${size / 1_000_000_000n}${fraction === '' ? '' : `.${fraction}`}`;
}
