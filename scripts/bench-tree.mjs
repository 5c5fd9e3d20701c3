// Makes a folder of mixed files to measure on: node scripts/bench-tree.mjs DIR [--files 58000] [--mib 1500] [--seed 1] [--one-file]
// The same seed gives the same bytes everywhere: text and code of common words, packed numbers, media that does not compress, copies of
// earlier files, a few large ones. `--one-file` makes a single file of that size (and of the same mixture) instead.
import { createCipheriv, createHash } from 'node:crypto';
import { closeSync, existsSync, mkdirSync, openSync, symlinkSync, utimesSync, writeFileSync, writeSync } from 'node:fs';
import { join } from 'node:path';

const options = { files: 58_000, mib: 1500, seed: 1, oneFile: false };
let target;
for (let at = 2; at < process.argv.length; at++) {
  const word = process.argv[at];
  if (word === '--one-file') options.oneFile = true;
  else if (/^--(files|mib|seed)$/.test(word)) options[word.slice(2)] = Number(process.argv[++at]);
  else target = word;
}
if (target === undefined) {
  process.stderr.write('usage: node scripts/bench-tree.mjs DIR [--files N] [--mib N] [--seed N] [--one-file]\n');
  process.exit(2);
}
if (existsSync(target)) {
  process.stderr.write(`${target} is there already; it is not touched\n`);
  process.exit(0);
}

const random = stream(`edgestore bench ${options.seed}`);
const text = makeText(24 << 20);
if (options.oneFile) makeOneFile();
else makeTree();

function makeTree() {
  const folders = makeFolders(Math.ceil(options.files / 9));
  const sizes = Array.from({ length: options.files }, () => Math.min(32 << 20, Math.exp(8.2 + 1.95 * normal())));
  const scale = (options.mib * 2 ** 20) / sizes.reduce((sum, size) => sum + size, 0);
  const recent = [];
  sizes.forEach((size, number) => {
    const length = Math.round(size * scale);
    const copied = recent.length > 50 && random.fraction() < 0.06;
    const bytes = copied ? recent[random.below(recent.length)] : content(length);
    const path = join(
      folders[random.below(folders.length)],
      `${word(number)}-${number}.${['txt', 'js', 'bin', 'json'][number % 4]}`,
    );
    writeFileSync(path, bytes);
    const seconds = 1_600_000_000 + random.below(100_000_000);
    utimesSync(path, seconds, seconds);
    if (!copied && bytes.length < 1 << 20) recent[recent.length < 400 ? recent.length : random.below(400)] = bytes;
    if (number % 500 === 0) symlinkSync(`../${word(number)}`, `${path}.link`);
  });
}

function makeFolders(count) {
  mkdirSync(target, { recursive: true });
  const folders = [target];
  for (let number = 1; number < count; number++) {
    const parent = folders[random.below(folders.length)];
    const path = join(
      parent.split('/').length - target.split('/').length > 8 ? target : parent,
      `${word(number)}-${number}`,
    );
    mkdirSync(path);
    folders.push(path);
  }
  return folders;
}

function makeOneFile() {
  const file = openSync(target, 'wx');
  for (let left = options.mib * 2 ** 20; left > 0; ) {
    const part = content(Math.min(left, 65_536 + random.below(8 << 20)));
    writeSync(file, part);
    left -= part.length;
  }
  closeSync(file);
}

/** Three quarters text, an eighth packed numbers, an eighth incompressible. */
function content(length) {
  const sort = random.below(8);
  if (sort === 0) return random.bytes(length);
  if (sort === 1) return numbers(length);
  const out = Buffer.allocUnsafe(length);
  for (let at = 0; at < length; ) {
    const piece = Math.min(length - at, 100 + random.below(1500));
    const from = random.below(text.length - piece);
    text.copy(out, at, from, from + piece);
    at += piece;
  }
  return out;
}

/** A table of rising numbers with noise in the low bits, as instruments and databases write them. */
function numbers(length) {
  const out = Buffer.alloc(length);
  const noise = random.bytes(Math.ceil(length / 4));
  for (let at = 0, value = 0; at + 4 <= length; at += 4) {
    value = (value + noise[at >> 2]) >>> 0;
    out.writeUInt32LE(value, at);
  }
  return out;
}

function makeText(length) {
  const words = Array.from({ length: 20_000 }, (_, number) => word(number));
  const parts = [];
  for (let size = 0; size < length; ) {
    const next = words[Math.floor(words.length * random.fraction() ** 3)];
    const gap = random.below(12) === 0 ? `;\n${' '.repeat(random.below(4) * 2)}` : random.below(9) === 0 ? ' = ' : ' ';
    parts.push(next, gap);
    size += next.length + gap.length;
  }
  return Buffer.from(parts.join(''));
}

function word(number) {
  const letters = createHash('sha256').update(`word ${number}`).digest();
  let out = '';
  for (let at = 0; at < 3 + (letters[31] % 7); at++) out += 'etaoinshrdlucmfw'[letters[at] & 15];
  return out;
}

/** The key stream of a cipher as a source of chance. */
function stream(seed) {
  const cipher = createCipheriv(
    'aes-128-ctr',
    createHash('sha256').update(seed).digest().subarray(0, 16),
    Buffer.alloc(16),
  );
  let block = Buffer.alloc(0);
  let at = 0;
  const bytes = (length) => cipher.update(Buffer.alloc(length));
  const uint32 = () => {
    if (at + 4 > block.length) {
      block = bytes(65_536);
      at = 0;
    }
    at += 4;
    return block.readUInt32LE(at - 4);
  };
  return { bytes, below: (limit) => uint32() % limit, fraction: () => uint32() / 2 ** 32 };
}

/** A normally distributed number (Box and Muller). */
function normal() {
  return Math.sqrt(-2 * Math.log(1 - random.fraction())) * Math.cos(2 * Math.PI * random.fraction());
}
