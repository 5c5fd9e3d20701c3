/** `status`: whether everything is safe, on one screen. */
import { existsSync } from 'node:fs';
import { formatTimeNs, relearningSince, type SnapshotRow, type TargetStatus } from '@edgestore/engine';
import { z } from 'zod';
import type { RootConfig } from '../config/config.ts';
import { replicationOf } from '../home/effective-policy.ts';
import { type Opened, openedOf } from './opened.ts';
import { defineOperation } from './operation.ts';
import { findingsOf, type StatusFinding } from './status-findings.ts';

export interface StatusRoot {
  readonly name: string;
  readonly path: string;
  readonly present: boolean;
  readonly watch: boolean;
  readonly last_snapshot: {
    readonly id: string;
    readonly time: string;
    readonly files: number;
    readonly bytes: number;
    readonly failed: number;
  } | null;
  /** Besides this agent's own store; null without a snapshot. */
  readonly copies: { readonly have: number; readonly want: number } | null;
  readonly sites: { readonly have: number; readonly want: number } | null;
}

export interface StatusTarget {
  readonly name: string;
  readonly site: string | null;
  readonly kind: 'peer' | 'bucket';
  /** `meta`: only trees and log go there. */
  readonly scope: 'all' | 'meta';
  /** Records that wait. */
  readonly pending: number;
  readonly attempts: number;
  readonly next_try: string | null;
  readonly last_error: string | null;
  readonly sending: boolean;
}

export interface StatusData {
  readonly agent: {
    readonly id: string;
    readonly name: string;
    readonly site: string;
    readonly incarnation: number;
    /** The service is running; false when the command works on the data dir by itself. */
    readonly running: boolean;
  };
  readonly vault: { readonly id: string };
  readonly data_dir: string;
  readonly store: {
    readonly packs: number;
    readonly chunks: number;
    readonly bytes: number;
    /** Copies that were found damaged or missing. */
    readonly bad_copies: number;
    readonly free_bytes: number;
    readonly below_floor: boolean;
    /** Chunks that other agents hold here. */
    readonly held_for_others: number;
  };
  readonly roots: readonly StatusRoot[];
  readonly targets: readonly StatusTarget[];
  readonly peers: readonly { readonly name: string; readonly site: string; readonly role: string }[];
  /** Since when the index is being completed from peers and buckets after it was built anew from this disk; null when it is complete. */
  readonly relearning_since: string | null;
  readonly findings: readonly StatusFinding[];
}

const input = z.object({ check: z.boolean().default(false) });
type Input = z.output<typeof input>;

export const status = defineOperation<Input, StatusData>({
  name: 'status',
  input: input as z.ZodType<Input>,
  mutates: false,
  run: async ({ check }, context) => {
    const opened = openedOf(context);
    const { engine, loaded, replicator, members } = opened;
    const { index, identity } = engine;
    const counts = index.chunks.counts();
    const space = await engine.chunks.freeSpace();
    const snapshots = index.log.snapshots({ agent: identity.agentId }).filter((row) => !row.branch);
    const partial: Omit<StatusData, 'findings'> = {
      agent: {
        id: identity.agentId,
        name: identity.name,
        site: identity.site,
        incarnation: identity.incarnation,
        running: context.home.running !== undefined,
      },
      vault: { id: engine.vault.vaultId },
      data_dir: engine.dataDir.path,
      store: {
        packs: counts.packs,
        chunks: counts.chunks,
        bytes: counts.bytes,
        bad_copies: counts.badCopies,
        free_bytes: space.freeBytes,
        below_floor: space.belowFloor,
        held_for_others: index.holds.heldCount().chunks,
      },
      roots: loaded.config.roots.map((root) => statusOfRoot(root, snapshots, opened)),
      targets: replicator.status().map(statusOfTarget),
      peers: members.map(({ name, site, role }) => ({ name, site, role })),
      relearning_since: relearningSince(index.kv) ?? null,
    };
    const data = { ...partial, findings: findingsOf(partial) };
    return { data, exitCode: check && data.findings.length > 0 ? 20 : 0 };
  },
});

function statusOfRoot(root: RootConfig, snapshots: readonly SnapshotRow[], { loaded, replicator }: Opened): StatusRoot {
  const last = snapshots.findLast((row) => row.body.root === root.name);
  const policy = replicationOf(loaded.config, root);
  const have = last === undefined ? undefined : replicator.durability(last);
  return {
    name: root.name,
    path: root.path,
    present: existsSync(root.path),
    watch: root.watch,
    last_snapshot:
      last === undefined
        ? null
        : {
            id: last.id,
            time: formatTimeNs(last.body.timeNs),
            files: last.body.stats.files,
            bytes: last.body.stats.bytes,
            failed: last.body.failed,
          },
    copies: have === undefined ? null : { have: have.peers.length + have.stores.length, want: policy?.copies ?? 0 },
    sites: have === undefined ? null : { have: have.sites.length, want: policy?.sites ?? 0 },
  };
}

function statusOfTarget(target: TargetStatus): StatusTarget {
  return {
    name: target.name,
    site: target.site ?? null,
    kind: target.type,
    scope: target.scope,
    pending: target.pending,
    attempts: target.attempts,
    next_try: target.nextTryNs === undefined ? null : formatTimeNs(target.nextTryNs),
    last_error: target.pending > 0 ? (target.lastError ?? null) : null,
    sending: target.isRunning,
  };
}
