/** Shell patterns over bytes: `*`, `?`, `[a-z]`, `[!…]`, `\` before a character, `\xNN` for a byte, and `**` for any folders. */
import { EdgeError } from '../core/errors.ts';

/** Whether a path (without a leading slash) matches. */
export type Glob = (path: Uint8Array) => boolean;

/** What one place of a pattern takes: a byte, a set of bytes, any byte, or any run of bytes. */
type Token = number | ReadonlySet<number> | 'any' | 'run';
type Segment = readonly Token[] | 'folders';

const SLASH = 0x2f;
const PATTERN_BYTES_MAX = 4096;

/**
 * Compiles a pattern. One without a slash matches the last component at any depth; one with a slash matches whole paths from the top. Matching takes
 * time in proportion to pattern times path at worst. E_USAGE for a bracket that is not closed.
 */
export function compileGlob(text: string): Glob {
  if (Buffer.byteLength(text) > PATTERN_BYTES_MAX)
    throw new EdgeError('E_USAGE', 'a pattern is longer than 4096 bytes');
  const tokens = tokenize(text);
  const isWhole = tokens.includes(SLASH);
  const segments = split(tokens);
  if (!isWhole) {
    const [name] = segments;
    if (name === 'folders') return () => true;
    return (path) => matchSegment(name ?? [], path.subarray(path.lastIndexOf(SLASH) + 1));
  }
  return (path) => matchSegments(segments, splitPath(path));
}

function tokenize(text: string): Token[] {
  const bytes = Buffer.from(text, 'utf8');
  const tokens: Token[] = [];
  for (let at = 0; at < bytes.length; ) {
    const byte = bytes[at]!;
    if (byte === 0x2a) tokens.push('run');
    else if (byte === 0x3f) tokens.push('any');
    else if (byte === 0x5b) {
      const { set, end } = readSet(bytes, at, text);
      tokens.push(set);
      at = end;
      continue;
    } else {
      const { value, next } = readByte(bytes, at);
      tokens.push(value);
      at = next;
      continue;
    }
    at++;
  }
  return tokens;
}

/** One literal byte, with `\c` and `\xNN` taken off. */
function readByte(bytes: Buffer, at: number): { readonly value: number; readonly next: number } {
  if (bytes[at] !== 0x5c || at + 1 >= bytes.length) return { value: bytes[at]!, next: at + 1 };
  const hex = /^x([0-9a-fA-F]{2})/.exec(bytes.toString('latin1', at + 1, at + 4));
  if (hex !== null) return { value: Number.parseInt(hex[1]!, 16), next: at + 4 };
  return { value: bytes[at + 1]!, next: at + 2 };
}

function readSet(
  bytes: Buffer,
  start: number,
  text: string,
): { readonly set: ReadonlySet<number>; readonly end: number } {
  let at = start + 1;
  const isNegated = bytes[at] === 0x21 || bytes[at] === 0x5e;
  if (isNegated) at++;
  const set = new Set<number>();
  for (let isFirst = true; ; isFirst = false) {
    if (at >= bytes.length) throw new EdgeError('E_USAGE', `the pattern ${JSON.stringify(text)} has a [ without ]`);
    if (bytes[at] === 0x5d && !isFirst) break;
    const from = readByte(bytes, at);
    at = from.next;
    let last = from.value;
    if (bytes[at] === 0x2d && at + 1 < bytes.length && bytes[at + 1] !== 0x5d) {
      const to = readByte(bytes, at + 1);
      last = to.value;
      at = to.next;
    }
    for (let value = from.value; value <= last; value++) set.add(value);
  }
  const chosen = isNegated ? new Set(Array.from({ length: 256 }, (_, i) => i).filter((value) => !set.has(value))) : set;
  chosen.delete(SLASH);
  return { set: chosen, end: at + 1 };
}

function split(tokens: readonly Token[]): Segment[] {
  const segments: Segment[] = [];
  let from = 0;
  for (let i = 0; i <= tokens.length; i++) {
    if (i < tokens.length && tokens[i] !== SLASH) continue;
    const segment = tokens.slice(from, i);
    from = i + 1;
    if (segment.length === 0) continue;
    segments.push(segment.length === 2 && segment.every((token) => token === 'run') ? 'folders' : segment);
  }
  return segments;
}

function splitPath(path: Uint8Array): Uint8Array[] {
  const parts: Uint8Array[] = [];
  let from = 0;
  for (let i = 0; i <= path.length; i++) {
    if (i < path.length && path[i] !== SLASH) continue;
    if (i > from) parts.push(path.subarray(from, i));
    from = i + 1;
  }
  return parts;
}

/** `**` takes as few components as it can and one more whenever the rest does not fit; only the last `**` need ever be gone back to. */
function matchSegments(segments: readonly Segment[], parts: readonly Uint8Array[]): boolean {
  let segment = 0;
  let part = 0;
  let resumeSegment = -1;
  let resumePart = 0;
  while (part < parts.length) {
    const wanted = segments[segment];
    if (wanted === 'folders') {
      resumeSegment = ++segment;
      resumePart = part;
    } else if (wanted !== undefined && matchSegment(wanted, parts[part]!)) {
      segment++;
      part++;
    } else if (resumeSegment >= 0) {
      segment = resumeSegment;
      part = ++resumePart;
    } else {
      return false;
    }
  }
  // A trailing `/**` means what is inside a folder, so it does not match the folder itself.
  return segment === segments.length;
}

function matchSegment(tokens: readonly Token[], name: Uint8Array): boolean {
  let token = 0;
  let at = 0;
  let resumeToken = -1;
  let resumeAt = 0;
  while (at < name.length) {
    const wanted = tokens[token];
    if (wanted === 'run') {
      resumeToken = ++token;
      resumeAt = at;
    } else if (wanted !== undefined && takes(wanted, name[at]!)) {
      token++;
      at++;
    } else if (resumeToken >= 0) {
      token = resumeToken;
      at = ++resumeAt;
    } else {
      return false;
    }
  }
  while (tokens[token] === 'run') token++;
  return token === tokens.length;
}

function takes(token: Token, byte: number): boolean {
  if (typeof token === 'number') return token === byte;
  return token === 'any' || (typeof token === 'object' && token.has(byte));
}
