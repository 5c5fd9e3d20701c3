/** What the `jobs` commands answer. */
export interface JobData {
  readonly id: string;
  readonly operation: string;
  readonly state: 'running' | 'done' | 'failed' | 'cancelled';
  readonly started: string;
  readonly ended: string | null;
  readonly progress: Readonly<Record<string, unknown>> | null;
  readonly warnings: readonly { readonly code: string; readonly message: string }[];
  readonly exit_code: number | null;
  readonly error: {
    readonly code: string;
    readonly message: string;
    readonly exit: number;
    readonly hint?: string;
  } | null;
}

export interface JobListData {
  /** Newest first. */
  readonly jobs: readonly JobData[];
}

export interface JobShowData {
  readonly job: JobData;
}
