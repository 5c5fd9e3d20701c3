/**
 * Tests that are written as the product must be, and fail today. Each names who mends it. A mended one leaves this list; EDGESTORE_FAULT_OPEN=1 runs
 * them all. The names are those of the tests.
 */
export interface OpenTest {
  /** The part of the product in which the fault is. */
  readonly area: string;
  /** What happens instead, in one sentence. */
  readonly today: string;
}

export const OPEN: Readonly<Record<string, OpenTest>> = {
  'the end of the log that a kill left unsynced is synced before anything relies on it': {
    area: 'chain',
    today: 'the next start adopts the end of the log without an fsync, and after a power loss every command is exit 7',
  },
  'a restore is durable before its marker goes: after a power loss every file is whole, or the same command goes on': {
    area: 'store',
    today: 'the files are not synced before the marker is removed, so all of them can be empty after a power loss',
  },
  'a pack that went is a finding in that very run and ever after, until its chunks are stored again': {
    area: 'store',
    today: 'status --check is 0 while the pack lacks',
  },
  'frames that were salvaged from a damaged pack do not pass for stored when they are bad themselves': {
    area: 'store',
    today: 'a full scan reads the source, throws it away and acknowledges',
  },
  'without an index and with EIO in one pack every command works but for what that pack has': {
    area: 'store',
    today: 'no command works (with the store part merged: scrub is 7, as if what cannot be read now were lost)',
  },
  'a read that is cut short is finished, not taken for the end of a file': {
    area: 'store',
    today: 'the chunks are called lost for good',
  },
  "one changed byte in its copy of the owner's log at a holder is said there, and the owner's next sync mends it": {
    area: 'chain',
    today: 'scrub at the holder is 0, and nothing of this owner is taken any more',
  },
  "one changed byte in the owner's holds at a holder is said there, and the owner's next sync mends it": {
    area: 'chain',
    today: 'scrub at the holder is 0, and nothing of this owner is taken any more',
  },
  'files whose every copy is gone are read again, although they look unchanged': {
    area: 'peer',
    today: 'the files count as unchanged, and no store has them',
  },
  'a machine that was put back acknowledges nothing at the bucket, and says why': {
    area: 'bucket',
    today: 'the fork of the log is made, or refused without a reason',
  },
  'tier run drops no copy because of what the page cache has: a byte changed on the archive is noticed': {
    area: 'bucket',
    today: 'the last good copy is dropped',
  },
  'scrub reads the medium: a byte changed below the page cache is found': {
    area: 'store',
    today: 'scrub reads the page cache',
  },
  'an unplugged archive is not an empty one: nothing is lost, nothing is stored twice, and plugged in again all is well':
    { area: 'bucket', today: 'what the archive has is called lost' },
};
