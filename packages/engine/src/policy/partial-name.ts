/** Names that a restore makes for itself while it is under way; a capture leaves them out, as they are nobody's files yet. */

/** In the target; beside it: `.<target's name>` and then this. */
export const PARTIAL_PREFIX = '.edgestore-partial-';

const DOT = 0x2e;
const prefix = Buffer.from(PARTIAL_PREFIX);

export function isPartialName(name: Buffer): boolean {
  return name[0] === DOT && name.includes(prefix);
}
