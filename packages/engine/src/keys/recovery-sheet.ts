/** The text that is printed once and kept on paper: everything that an empty machine needs. See docs/formats/recovery-sheet.md. */
import { EdgeError, newerFormatError } from '../core/errors.ts';
import type { VaultId } from '../core/ids.ts';
import { decodeRecoveryCode, RECOVERY_WORDS } from './recovery-code.ts';

export interface SheetPeer {
  readonly name: string;
  readonly address: string;
  /** SHA-256 of the peer's TLS key in SPKI form, 64 hex digits. */
  readonly pin: string;
}

export interface SheetBucket {
  readonly url: string;
  readonly endpoint?: string;
  readonly region?: string;
}

export interface RecoverySheet {
  readonly vaultName: string;
  readonly vaultId: VaultId;
  readonly words: readonly string[];
  readonly peers: readonly SheetPeer[];
  readonly buckets: readonly SheetBucket[];
}

export interface ParsedRecoverySheet {
  readonly vaultKey: Uint8Array;
  readonly adminSeed: Uint8Array;
  /** Undefined when only the words were given. */
  readonly vaultId: VaultId | undefined;
  readonly vaultName: string | undefined;
  readonly peers: readonly SheetPeer[];
  readonly buckets: readonly SheetBucket[];
}

const VERSION = 1;
const WORDS_PER_LINE = 5;
/** A sheet with hundreds of peers still fits; a wrong file is refused unread. */
export const RECOVERY_SHEET_BYTES_MAX = 256 * 1024;
const LIST_LENGTH_MAX = 1000;

/** The sheet as text of short lines, ASCII but for names. */
export function formatRecoverySheet(sheet: RecoverySheet): string {
  const lines = [
    `EDGESTORE RECOVERY SHEET ${VERSION}`,
    '',
    'Keep this on paper or offline, apart from the machines. Whoever holds it can read the whole vault',
    'and act as its administrator. To get everything back on an empty machine:',
    '',
    '    edgestore recover --from ADDRESS-OR-BUCKET --recovery-file THIS-FILE',
    '',
    `vault: ${sheet.vaultId} ${oneLine(sheet.vaultName)}`,
    '',
  ];
  for (let at = 0; at < sheet.words.length; at += WORDS_PER_LINE) {
    const words = sheet.words.slice(at, at + WORDS_PER_LINE);
    lines.push(`code ${two(at + 1)}-${two(at + words.length)}: ${words.join(' ')}`);
  }
  lines.push('');
  for (const peer of sheet.peers) lines.push(`peer: ${oneLine(peer.name)} ${oneLine(peer.address)} ${peer.pin}`);
  for (const bucket of sheet.buckets) {
    const options = [
      bucket.endpoint === undefined ? '' : ` endpoint=${oneLine(bucket.endpoint)}`,
      bucket.region === undefined ? '' : ` region=${oneLine(bucket.region)}`,
    ];
    lines.push(`bucket: ${oneLine(bucket.url).replaceAll(' ', '%20')}${options.join('')}`);
  }
  return `${lines.join('\n').trimEnd()}\n`;
}

/** Whether a file is meant to be a sheet, whatever is wrong with it. */
export function isRecoverySheet(text: string): boolean {
  return /EDGESTORE RECOVERY SHEET/i.test(text);
}

/**
 * Reads a sheet, or only its words typed by hand. E_USAGE names what is wrong with the code or a line; lines of other kinds are text
 * for the reader and ignored. E_NEWER_FORMAT for a newer sheet.
 */
export function parseRecoverySheet(text: string): ParsedRecoverySheet {
  if (text.length > RECOVERY_SHEET_BYTES_MAX)
    throw new EdgeError('E_USAGE', 'this is no recovery sheet: it is too long');
  const version = /EDGESTORE RECOVERY SHEET (\d+)/i.exec(text)?.[1];
  if (version !== undefined && Number(version) !== VERSION)
    throw newerFormatError('recovery sheet', `version ${version}`);

  const code: string[] = [];
  const peers: SheetPeer[] = [];
  const buckets: SheetBucket[] = [];
  let vaultId: VaultId | undefined;
  let vaultName: string | undefined;
  for (const line of text.split(/\r?\n/)) {
    const parts = /^\s*(vault|peer|bucket|code(?:\s*\d+(?:\s*-\s*\d+)?)?)\s*:\s*(.*?)\s*$/i.exec(line);
    if (parts === null) continue;
    const label = parts[1]!.toLowerCase();
    const value = parts[2]!;
    if (label === 'vault') [vaultId, vaultName] = parseVault(value);
    else if (label === 'peer') peers.push(parsePeer(value));
    else if (label === 'bucket') buckets.push(parseBucket(value));
    else code.push(value);
    if (peers.length > LIST_LENGTH_MAX || buckets.length > LIST_LENGTH_MAX) {
      throw new EdgeError('E_USAGE', `a recovery sheet lists at most ${LIST_LENGTH_MAX} peers and buckets`);
    }
  }
  if (code.length === 0 && version !== undefined) {
    throw new EdgeError('E_USAGE', 'the recovery sheet has no code', {
      hint: `It has ${RECOVERY_WORDS} words, on lines that begin with "code".`,
    });
  }
  const secrets = decodeRecoveryCode(code.length > 0 ? code.join(' ') : text);
  return { ...secrets, vaultId, vaultName, peers, buckets };
}

function parseVault(value: string): [VaultId, string] {
  const parts = /^([0-9a-f]{32})(?:\s+(.*))?$/i.exec(value);
  if (parts === null) throw badLine('vault', value);
  return [parts[1]!.toLowerCase(), parts[2] ?? ''];
}

/** The name may have spaces in it; address and pin may not. */
function parsePeer(value: string): SheetPeer {
  const parts = /^(.+?)\s+(\S+)\s+([0-9a-f]{64})$/i.exec(value);
  if (parts === null) throw badLine('peer', value);
  return { name: parts[1]!, address: parts[2]!, pin: parts[3]!.toLowerCase() };
}

function parseBucket(value: string): SheetBucket {
  const [url, ...options] = value.split(/\s+/);
  if (url === undefined || !/^(s3|file):\/\//.test(url)) throw badLine('bucket', value);
  const bucket: { url: string; endpoint?: string; region?: string } = { url };
  for (const option of options) {
    const parts = /^(endpoint|region)=(\S+)$/.exec(option);
    if (parts === null) throw badLine('bucket', value);
    bucket[parts[1] as 'endpoint' | 'region'] = parts[2]!;
  }
  return bucket;
}

function badLine(label: string, value: string): EdgeError {
  return new EdgeError(
    'E_USAGE',
    `the "${label}" line of the recovery sheet cannot be read: ${JSON.stringify(value.slice(0, 200))}`,
    {
      hint: 'Compare it with the sheet, or leave the line out: the code alone is enough together with --from.',
    },
  );
}

function oneLine(text: string): string {
  return text.replace(/\p{Cc}+/gu, ' ').trim();
}

function two(number: number): string {
  return String(number).padStart(2, '0');
}
