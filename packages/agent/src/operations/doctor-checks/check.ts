import { toEdgeError } from '@edgestore/engine';

export interface DoctorCheck {
  readonly what: string;
  readonly result: 'ok' | 'warning' | 'problem';
  readonly message: string;
  readonly hint?: string;
}

/** A failure in its own words. */
export function failed(what: string, thrown: unknown, result: 'warning' | 'problem' = 'problem'): DoctorCheck {
  const { message, hint } = toEdgeError(thrown);
  return { what, result, message, ...(hint === undefined ? {} : { hint }) };
}
