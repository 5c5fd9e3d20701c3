/** A status as plain data. */
import type { StatusFinding } from './status-findings.ts';

export interface StatusRoot {
  readonly name: string;
  readonly path: string;
  readonly present: boolean;
  /** Nothing is in the folder, although its last snapshot has files: as when a disk is not mounted. */
  readonly emptied: boolean;
  readonly watch: boolean;
  readonly last_snapshot: {
    readonly id: string;
    readonly time: string;
    readonly files: number;
    readonly bytes: number;
    readonly failed: number;
    /** It counts at no level (docs/chain.md 2.10). */
    readonly damaged: boolean;
  } | null;
  /** Besides this agent's own store, by the newest answers of targets; null without a snapshot. */
  readonly copies: { readonly have: number; readonly want: number } | null;
  readonly sites: { readonly have: number; readonly want: number } | null;
}

export interface StatusTarget {
  readonly name: string;
  readonly site: string | null;
  readonly kind: 'peer' | 'bucket';
  /** `meta`: only trees and log go there. */
  readonly scope: 'all' | 'meta';
  /** Entries that wait. */
  readonly pending: number;
  readonly pending_since: string | null;
  readonly attempts: number;
  readonly next_try: string | null;
  readonly last_error: string | null;
  readonly sending: boolean;
  /**
   * When the target was asked last what it has; everything below, and the copies of roots, is of that time. Null when
   * it never was.
   */
  readonly asked: string | null;
  /** Why it could not be asked now; only with --check. */
  readonly not_asked: string | null;
  /** What a holder lacks of this agent's chunks, as it said itself. */
  readonly lacks: StatusLacks | null;
  /** Ends of this agent's history that the holder keeps beside its chain, and that are not here. */
  readonly branches_there: number;
  /** Two machines answered under its name. */
  readonly cloned: boolean;
}

export interface StatusStore {
  /** `[stores.<name>]` */
  readonly name: string;
  readonly url: string;
  /**
   * `all`: everything goes there. `meta`: it is a cold tier, so trees and log go there, and what is cold. `none`:
   * nothing is sent there.
   */
  readonly scope: 'all' | 'meta' | 'none';
  /**
   * It answered now as the store that it was. Null when it was not asked: without --check, or because nothing was put
   * there yet.
   */
  readonly reachable: boolean | null;
  /** As it was found at last: out of reach, emptied, or another store under its name. */
  readonly away: {
    readonly since: string;
    readonly code: string;
    readonly message: string;
    readonly next: string;
  } | null;
}

export interface StatusLacks {
  /** Not there yet. */
  readonly wanted: number;
  /** Was there and is gone. */
  readonly lost: number;
  /** Cannot be read now. */
  readonly unreadable: number;
}

export interface StatusLoss {
  /** `local`, or a store's name. */
  readonly store: string;
  readonly reason: 'damaged' | 'absent' | 'unreadable';
  readonly chunks: number;
  /** Of these, chunks of which no store of this agent has a good copy. */
  readonly nowhere: number;
  readonly packs: number;
  readonly since: string;
  readonly why: string;
}

/** What is held here for an owner, or for this agent itself, and is not here. */
export interface StatusHolds extends StatusLacks {
  readonly agent: string;
  readonly name: string;
  readonly own: boolean;
  readonly since: string;
  /** False while it is only lag. */
  readonly finding: boolean;
}

export interface StatusCheckpoint {
  readonly agent: string;
  readonly name: string;
  readonly own: boolean;
  readonly shard: number;
  readonly verdict: 'false' | 'unmade';
  readonly message: string;
  readonly since: string;
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
    /** Why the folder of the packs cannot be used now, as when its disk is not mounted; null when it is there. */
    readonly packs_away: string | null;
  };
  readonly roots: readonly StatusRoot[];
  /** Live snapshots of this agent that need chunks which no store has. */
  readonly damaged_snapshots: number;
  readonly targets: readonly StatusTarget[];
  readonly stores: readonly StatusStore[];
  /** Stores that are not configured any more, with packs that count until the next sync. */
  readonly stores_gone: readonly { readonly name: string; readonly packs: number }[];
  readonly holds: readonly StatusHolds[];
  /** Damage of chains here, this agent's and others'. */
  readonly chain_problems: readonly {
    readonly agent: string;
    readonly name: string;
    readonly message: string;
    readonly since: string;
  }[];
  /**
   * Hold checkpoints that contradict the entries before them, and own ones that were not made because files and index
   * differ.
   */
  readonly checkpoints: readonly StatusCheckpoint[];
  /** This machine was put back to an older state, or copied: nothing is sent until it is recovered. */
  readonly put_back: { readonly since: string; readonly shown_by: string } | null;
  readonly peers: readonly { readonly name: string; readonly site: string; readonly role: string }[];
  /**
   * Since when the index is being completed from peers and buckets after it was built anew from this disk; null when
   * it is complete.
   */
  readonly relearning_since: string | null;
  /** Copies in this agent's own stores that went, are damaged or cannot be read, until they are whole again. */
  readonly losses: readonly StatusLoss[];
  /** Of other agents' releases: frames within their grace, and since when the brake stops the clock. */
  readonly releases: readonly {
    readonly name: string;
    readonly frames: number;
    readonly bytes: number;
    readonly brake_since: string | null;
  }[];
  readonly findings: readonly StatusFinding[];
}
