/** What the `agent` commands answer. */
export interface AgentStatusData {
  readonly name: string;
  readonly agent: string;
  readonly site: string;
  readonly vault: string;
  readonly version: string;
  readonly pid: number;
  readonly uptime_s: number;
  /** `host:port` of the peer server. */
  readonly listen: string | null;
  readonly rss_bytes: number | null;
  /** Names of the roots that are watched. */
  readonly watching: readonly string[];
  readonly jobs_running: number;
  readonly workers: readonly { readonly name: string; readonly state: string; readonly last_error: string | null }[];
}

export interface AgentReloadData {
  /** Keys whose values differ now. */
  readonly changed: readonly string[];
}

export interface AgentStopData {
  readonly pid: number;
}

export interface AgentInstallData {
  /** The systemd unit's text. */
  readonly unit: string;
  /** Where it was written; null when it was only shown. */
  readonly written: string | null;
  /** What to do next. */
  readonly next: readonly string[];
}
