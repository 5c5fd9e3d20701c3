/** Chains of ignore rules with numbers that no two of them share in a process. */
import type { IgnoreChain } from '../pipeline/ignore-chain.ts';

let last = 0;

/** The rules at the top of a root; undefined when there are none. */
export function startIgnoreChain(exclude: readonly string[]): IgnoreChain | undefined {
  return exclude.length === 0 ? undefined : { key: ++last, exclude, files: [] };
}

/** The rules below a folder, with its own ignore file when it has one. */
export function extendIgnoreChain(
  chain: IgnoreChain | undefined,
  folder: Uint8Array,
  text: Uint8Array | undefined,
): IgnoreChain | undefined {
  if (text === undefined) return chain;
  return { key: ++last, exclude: chain?.exclude ?? [], files: [...(chain?.files ?? []), { folder, text }] };
}
