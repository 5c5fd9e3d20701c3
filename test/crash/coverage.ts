/**
 * Which scene is killed at which failpoint. Every failpoint of the sources has to be here (a test looks), and its scene has to pass it, or the run
 * fails: a place where nobody ever died is a place of which nobody knows whether it may be died at.
 */
import type { FAILPOINT_NAMES } from '../../packages/engine/src/core/failpoint-names.ts';

export type FailpointName = (typeof FAILPOINT_NAMES)[number];

export const FAILPOINTS_OF = {
  init: ['durable.renamed', 'durable.synced', 'durable.written'],
  sync: [
    'capture.cached',
    'capture.chunks-durable',
    'capture.recorded',
    'chain.applied',
    'chain.durable',
    'chain.record-written',
    'chain.synced',
    'chain.written',
    'index.pack-added',
    'index.pack-adding',
    'pack.created',
    'pack.folder-made',
    'pack.folder-synced',
    'pack.frames-written',
    'pack.renamed',
    'pack.synced',
    'pack.tail-written',
  ],
  checkpoint: ['checkpoint.appended', 'parts.old-removed', 'parts.part-written', 'parts.synced'],
  merge: ['compact.copied', 'compact.unlinked', 'index.packs-swapped', 'index.packs-swapping'],
  interrupted: ['capture.unfinished-chunks-durable', 'capture.unfinished-recorded'],
  demote: ['bucket.pack-put', 'demote.dropped', 'demote.pack-indexed', 'demote.pack-verified', 'demote.verified'],
  recall: ['recall.flushed'],
  rebuild: [
    'index.migrated',
    'index.migrating',
    'rebuild.chain-synced',
    'rebuild.chains-done',
    'rebuild.entries-applied',
    'rebuild.marked',
    'rebuild.pack-adopted',
    'rebuild.pack-synced',
    'rebuild.packs-done',
  ],
  'doomed packs': ['rebuild.doomed-unlinked'],
  'torn chain': ['chain.torn-cut', 'chain.torn-kept'],
  'damaged index': ['index.set-aside'],
  relearn: ['bucket.pack-learned'],
  bucket: [
    'bucket.segment-put',
    'bucket.segment-verified',
    'bucket.store-id-put',
    'folder-store.named',
    'replicate.bucket-pack-put',
  ],
  'scrub repair': ['marks.synced', 'marks.written', 'scrub.repaired'],
  'log repair': [
    'log-repair.card-written',
    'log-repair.chain-staged',
    'log-repair.decided',
    'log-repair.done',
    'log-repair.identity-written',
    'log-repair.in-place',
    'log-repair.index-suspect',
    'log-repair.set-aside',
    'log-repair.staged',
  ],
  'log repair, whole': ['mend.replaced', 'mend.rewound', 'mend.written'],
  'give up': ['give-up.applied', 'give-up.marked', 'give-up.recorded', 'give-up.written'],
  'missing tail': ['chain.renamed', 'chain.replaced', 'chain.rewritten', 'tail.cut', 'tail.filled', 'tail.rewound'],
  restore: [
    'restore.content-synced',
    'restore.marked-renaming',
    'restore.marker-removed',
    'restore.renamed',
    'restore.target-begun',
    'restore.window-finished',
    'restore.window-prepared',
    'restore.window-written',
  ],
  'restore inside': ['restore.entry-renamed', 'restore.moved-out'],
  recover: [
    'recover.before-commit',
    'recover.begun',
    'recover.chains-written',
    'recover.committed',
    'recover.life-written',
  ],
  holder: ['chain.folder-synced', 'hold.entries-taken', 'hold.frames-stored'],
  'holder rebuild': ['rebuild.entries-applied'],
  owner: ['replicate.entries-sent', 'replicate.frames-sent'],
} as const satisfies Record<string, readonly FailpointName[]>;

/**
 * Points that no command of today passes in a scene: `store/crash.test.ts` of the engine kills its workload at each.
 * Takeovers at a holder, late bodies and releases. Checkpoints at a store that follows:
 * `store/chains/checkpoint-crash.test.ts`.
 */
export const KILLED_IN_ENGINE = [
  'branch.applied-again',
  'branch.copied',
  'branch.cut',
  'branch.files-synced',
  'branch.split',
  'chain.bodies-synced',
  'chain.bodies-written',
  'chain.created',
  'checkpoint.judged',
  'join.part-applied',
  'join.switched',
  'parts.taken',
  'release.marked',
  'store-identity.epoch-raised',
  'store-identity.epoch-written',
  'store-identity.id-written',
] as const satisfies readonly FailpointName[];

export type SceneName = keyof typeof FAILPOINTS_OF;
