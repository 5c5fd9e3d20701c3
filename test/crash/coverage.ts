/**
 * Which scene is killed at which failpoint. Every failpoint of the sources has to be here (a test looks), and its scene has to pass it, or the run
 * fails: a place where nobody ever died is a place of which nobody knows whether it may be died at.
 */
import type { FAILPOINT_NAMES } from '../../packages/engine/src/core/failpoint-names.ts';

export type FailpointName = (typeof FAILPOINT_NAMES)[number];

export const FAILPOINTS_OF = {
  init: ['append.created', 'append.folder-synced', 'durable.renamed', 'durable.synced', 'durable.written'],
  sync: [
    'append.synced',
    'append.written',
    'capture.cached',
    'capture.chunks-durable',
    'capture.recorded',
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
  merge: ['compact.copied', 'compact.unlinked', 'index.packs-swapped', 'index.packs-swapping'],
  interrupted: ['capture.unfinished-chunks-durable', 'capture.unfinished-recorded'],
  demote: ['bucket.pack-put', 'demote.dropped', 'demote.pack-indexed', 'demote.pack-verified', 'demote.verified'],
  recall: ['recall.flushed'],
  rebuild: [
    'index.migrated',
    'index.migrating',
    'rebuild.holds-done',
    'rebuild.logs-done',
    'rebuild.marked',
    'rebuild.pack-adopted',
    'rebuild.pack-synced',
    'rebuild.packs-done',
    'rebuild.records-applied',
  ],
  'doomed packs': ['rebuild.doomed-unlinked'],
  'torn log': ['append.torn-cut', 'append.torn-kept'],
  'damaged index': ['index.set-aside'],
  relearn: ['bucket.pack-learned'],
  bucket: ['bucket.segment-put', 'replicate.bucket-pack-put'],
  'scrub repair': ['marks.synced', 'marks.written', 'scrub.repaired'],
  'log repair': [
    'log-repair.card-written',
    'log-repair.decided',
    'log-repair.done',
    'log-repair.identity-written',
    'log-repair.in-place',
    'log-repair.index-suspect',
    'log-repair.records-staged',
    'log-repair.set-aside',
    'log-repair.staged',
  ],
  'log repair, whole': [
    'log-repair.decided',
    'log-repair.done',
    'log-repair.in-place',
    'log-repair.index-suspect',
    'log-repair.records-staged',
    'log-repair.set-aside',
    'log-repair.staged',
  ],
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
    'recover.committed',
    'recover.life-written',
    'recover.log-written',
  ],
  holder: ['hold.entries-taken', 'hold.frames-stored'],
  'holder rebuild': ['rebuild.entries-applied'],
  owner: ['replicate.entries-sent', 'replicate.frames-sent'],
} as const satisfies Record<string, readonly FailpointName[]>;

export type SceneName = keyof typeof FAILPOINTS_OF;
