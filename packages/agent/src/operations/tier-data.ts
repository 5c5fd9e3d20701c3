/** What the `tier` commands answer. Bytes are of sealed chunks. */
import type { PathJson } from './path-json.ts';

export interface TierStatusData {
  readonly tiers: readonly {
    readonly tier: 'hot' | 'warm' | 'cold';
    /** `local`, `store <name>`, or `peers`. */
    readonly where: string;
    readonly chunks: number;
    /** 0 for what only peers have. */
    readonly bytes: number;
  }[];
  /** Trees and lists on this disk, which stay. */
  readonly meta_bytes: number;
  readonly notes: readonly string[];
}

export interface TierPlanData {
  /** Null when there is nothing to do. */
  readonly plan: string | null;
  readonly stores: readonly string[];
  /** To be put into a store. */
  readonly put: { readonly chunks: number; readonly bytes: number };
  /** To go from this disk, once enough copies elsewhere are verified. */
  readonly drop: { readonly chunks: number; readonly bytes: number };
  readonly requests: number;
  readonly oldest: string | null;
  readonly notes: readonly string[];
  readonly explain?: PathJson & { readonly tier: string; readonly reasons: readonly string[] };
}

export interface TierRunData {
  readonly plan: string | null;
  readonly stores: readonly string[];
  readonly moved: { readonly chunks: number; readonly bytes: number };
  readonly dropped: { readonly chunks: number; readonly bytes: number };
  readonly freed_bytes: number;
  /** Not dropped: too few copies elsewhere could be verified in this run. */
  readonly kept: { readonly chunks: number; readonly bytes: number };
  readonly notes: readonly string[];
  readonly dry_run: boolean;
  readonly duration_s: number;
}

export interface RecallData {
  readonly chunks: number;
  readonly bytes: number;
  /** Chunks that were here already. */
  readonly present: number;
  readonly failures: readonly { readonly code: string; readonly message: string }[];
  readonly dry_run: boolean;
}
