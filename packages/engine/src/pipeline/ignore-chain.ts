/** The ignore rules that hold in a folder: those of the root's configuration, then of each ignore file on the way down. */

export const IGNORE_FILE_NAME = Buffer.from('.edgestoreignore');

/** Rules in gitignore syntax, outermost first. Texts are latin1: one character a byte. */
export type IgnoreChain = readonly { readonly folder: Uint8Array; readonly text: string }[];

/** Whether an entry of the folder is left out. */
export type IgnoreMatcher = (name: Uint8Array, isFolder: boolean) => boolean;

/** Undefined when no rule holds there, which is the common case and costs nothing. */
export function compileIgnoreChain(
  _chain: IgnoreChain | undefined,
  _folder: Uint8Array,
  _ownText: string | undefined,
): IgnoreMatcher | undefined {
  return undefined;
}
