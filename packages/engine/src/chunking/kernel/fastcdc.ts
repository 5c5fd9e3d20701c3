// The chunker's inner loop, in AssemblyScript. What it computes is in docs/formats/chunking.md, and plainly in ../fastcdc-reference.ts,
// which a test holds it to. Compiled by scripts/build.mjs into ../kernel-wasm.ts.
//
// Memory, laid out by the caller: the gear table (256 u64) at 0, the same shifted left by one at 2048, cut offsets and input anywhere
// beyond. Nothing is allocated here.

const GEAR: usize = 0;
const GEAR_SHIFTED: usize = 2048;
const WARM_UP: usize = 64;

@inline
function gear(byte: u64): u64 {
  return load<u64>(GEAR + (<usize>(byte & 0xff) << 3));
}

@inline
function gearShifted(byte: u64): u64 {
  return load<u64>(GEAR_SHIFTED + (<usize>(byte & 0xff) << 3));
}

// Where the scan stood when it ended without a cut: the hash there, for the next range.
let hash: u64 = 0;

/**
 * Looks for a cut after a byte in [at, end); both are an even number of bytes apart from the chunk's beginning. Returns the position
 * after the byte, or 0. Two bytes a step (Xia et al. 2020): the first is judged one position to the left, so that the hash is shifted
 * once for both.
 */
@inline
function scan(at: usize, end: usize, mask: u64): usize {
  const maskShifted: u64 = mask << 1;
  let h = hash;
  // Eight bytes a load; branches are never taken but once a chunk, so the predictor hides them.
  while (at + 8 <= end) {
    const bytes = load<u64>(at);
    h = (h << 2) + gearShifted(bytes);
    if (!(h & maskShifted)) return at + 1;
    h += gear(bytes >> 8);
    if (!(h & mask)) return at + 2;
    h = (h << 2) + gearShifted(bytes >> 16);
    if (!(h & maskShifted)) return at + 3;
    h += gear(bytes >> 24);
    if (!(h & mask)) return at + 4;
    h = (h << 2) + gearShifted(bytes >> 32);
    if (!(h & maskShifted)) return at + 5;
    h += gear(bytes >> 40);
    if (!(h & mask)) return at + 6;
    h = (h << 2) + gearShifted(bytes >> 48);
    if (!(h & maskShifted)) return at + 7;
    h += gear(bytes >> 56);
    if (!(h & mask)) return at + 8;
    at += 8;
  }
  while (at + 2 <= end) {
    h = (h << 2) + gearShifted(<u64>load<u8>(at));
    if (!(h & maskShifted)) return at + 1;
    h += gear(<u64>load<u8>(at + 1));
    if (!(h & mask)) return at + 2;
    at += 2;
  }
  hash = h;
  return 0;
}

/** The position of the cut of a chunk that begins at `start`, or 0 when the bytes up to `end` do not decide it. */
@inline
function cut(start: usize, end: usize, isLast: bool, min: usize, avg: usize, max: usize, hard: u64, easy: u64): usize {
  const available = end - start;
  if (available <= min) return isLast ? end : 0;
  let h: u64 = 0;
  const from = start + min;
  for (let at = from - WARM_UP; at < from; ++at) h = (h << 1) + gear(<u64>load<u8>(at));
  hash = h;
  const found = scan(from, start + (available < avg ? available : avg), hard);
  if (found != 0) return found;
  if (available > avg) {
    const later = scan(start + avg, start + (available < max ? available : max), easy);
    if (later != 0) return later;
  }
  if (available >= max) return start + max;
  return isLast ? end : 0;
}

/**
 * Cuts [input, input + length) and writes the end of each chunk, relative to input, as u32 to `out`. Returns how many; without `isLast`
 * the bytes after the last cut wait for more, with it nothing remains unless `outMax` was reached.
 */
export function cutAll(
  input: usize,
  length: usize,
  isLast: bool,
  min: usize,
  avg: usize,
  max: usize,
  hard: u64,
  easy: u64,
  out: usize,
  outMax: u32,
): u32 {
  const end = input + length;
  let start = input;
  let count: u32 = 0;
  while (start < end && count < outMax) {
    const at = cut(start, end, isLast, min, avg, max, hard, easy);
    if (at == 0) break;
    store<u32>(out + (<usize>count << 2), <u32>(at - input));
    ++count;
    start = at;
  }
  return count;
}
