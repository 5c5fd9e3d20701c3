/**
 * Many short byte strings laid end to end, for messages between threads: each by itself would be a buffer outside the heap on both sides, which costs more
 * than what it says.
 */
export interface JoinedBytes {
  readonly bytes: Uint8Array<ArrayBuffer>;
  /** Where each ends. */
  readonly ends: Uint32Array<ArrayBuffer>;
}

/** Copies the parts. All of them together have less than 4 GiB. */
export function joinBytes(parts: readonly Uint8Array[]): JoinedBytes {
  const ends = new Uint32Array(parts.length);
  let length = 0;
  for (let i = 0; i < parts.length; i++) {
    length += parts[i]!.length;
    ends[i] = length;
  }
  const bytes = new Uint8Array(length);
  for (let i = 0; i < parts.length; i++) bytes.set(parts[i]!, i === 0 ? 0 : ends[i - 1]!);
  return { bytes, ends };
}

/** The i-th of them, as a view. */
export function partAt({ bytes, ends }: JoinedBytes, i: number): Uint8Array<ArrayBuffer> {
  return bytes.subarray(i === 0 ? 0 : ends[i - 1]!, ends[i]!);
}

/** For `postMessage`. */
export function buffersOfJoined({ bytes, ends }: JoinedBytes): ArrayBuffer[] {
  return [bytes.buffer, ends.buffer];
}
