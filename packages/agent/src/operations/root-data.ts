/** What the `root` commands answer. */

export interface RootJson {
  readonly name: string;
  readonly path: string;
  readonly watch: boolean;
  readonly exclude: readonly string[];
  readonly one_file_system: boolean;
  readonly replication: string | null;
  readonly tiering: string | null;
  /** Where it is configured: `file:line`. */
  readonly origin: string;
}

export interface RootData {
  readonly root: RootJson;
  /** False when the same root was there already. */
  readonly added: boolean;
  readonly dry_run: boolean;
}

export interface RootListData {
  readonly roots: readonly (RootJson & {
    /** The folder is there now. */
    readonly present: boolean;
    readonly last_snapshot: {
      readonly id: string;
      readonly time: string;
      readonly files: number;
      readonly bytes: number;
    } | null;
  })[];
}

export interface RootRemovedData {
  readonly name: string;
  readonly dry_run: boolean;
}

export interface CheckIgnoreData {
  readonly paths: readonly {
    readonly path: string;
    readonly path_b64?: string;
    readonly root: string;
    readonly ignored: boolean;
    /** Why it is left out; null when it is kept. */
    readonly rule: { readonly pattern: string; readonly origin: string } | null;
  }[];
}
