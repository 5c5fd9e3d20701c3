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
  'the name of a pack that a kill left unsynced is synced before anything relies on it': {
    area: 'store',
    today:
      'the next start adopts the pack without an fsync of its folder, and a power loss takes an acknowledged snapshot with it',
  },
  'a restore is durable before its marker goes: after a power loss every file is whole, or the same command goes on': {
    area: 'store',
    today: 'the files are not synced before the marker is removed, so all of them can be empty after a power loss',
  },
};
