/**
 * The length to pad `length` bytes to, so that sizes leak only O(log log n) bits and cost at most 12 %.
 * Source: Padmé, in Nikitin et al., "Reducing Metadata Leakage from Encrypted Files and Communication with PURBs" (2019).
 */
export function padme(length: number): number {
  if (length < 2) return length;
  const exponent = 31 - Math.clz32(length);
  const exponentBits = 32 - Math.clz32(exponent);
  const zeroBits = exponent - exponentBits;
  if (zeroBits <= 0) return length;
  // Plain arithmetic, as a shift would turn lengths from 2 GiB on negative.
  const step = 2 ** zeroBits;
  return Math.ceil(length / step) * step;
}
