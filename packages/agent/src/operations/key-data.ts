/** What the `key` commands answer. */

export interface KeySlotData {
  readonly id: string;
  /** `passphrase`, `keyfile` or `recovery`. */
  readonly type: string;
  readonly label: string;
  /** `shared` with all members, or `local`: it opens the vault on this machine only. */
  readonly scope: string;
  readonly note?: string;
}

export interface KeyListData {
  readonly vault: string;
  readonly slots: readonly KeySlotData[];
  readonly damaged: readonly { readonly file: string; readonly message: string }[];
}

export interface KeyAddData {
  /** Null for a recovery sheet, which opens the slot that is there. */
  readonly slot: string | null;
  readonly type: string;
  readonly label: string;
  readonly scope: string | null;
  readonly key_file: string | null;
  readonly recovery_out: string | null;
  readonly dry_run: boolean;
}

export interface KeyRemoveData {
  readonly slot: string;
  readonly type: string;
  readonly dry_run: boolean;
  /** Members and buckets that gave their copy up. */
  readonly withdrawn: readonly string[];
  /** Those that could not be reached: there the slot can still be used, until they were. */
  readonly pending: readonly { readonly name: string; readonly message: string }[];
}

export interface CheckRecoveryData {
  readonly vault: string;
  readonly valid: true;
  readonly notes: readonly string[];
}
