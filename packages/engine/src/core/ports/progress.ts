/** Live figures of a running flow. The receiver thins them out; a flow may report as often as it likes, cheaply. */
export interface Progress {
  readonly phase: string;
  readonly filesDone?: number;
  readonly filesTotal?: number;
  readonly bytesDone?: number;
  readonly bytesTotal?: number;
  readonly detail?: string;
}

export type ReportProgress = (progress: Progress) => void;

/** A thing the user should know although the work goes on. Collected into `warnings[]`. */
export interface Warning {
  readonly code: string;
  readonly message: string;
}

export type ReportWarning = (warning: Warning) => void;
