/** Orders names by their bytes, as memcmp does, the shorter first among equals. A loop: for short names it is several times faster than Buffer.compare. */
export function compareNames(a: Uint8Array, b: Uint8Array): number {
  const length = Math.min(a.length, b.length);
  for (let i = 0; i < length; i++) {
    const difference = a[i]! - b[i]!;
    if (difference !== 0) return difference;
  }
  return a.length - b.length;
}
