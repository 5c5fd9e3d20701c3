/** The engine's public names, for the agent and the command line. */
export { type Clock, formatTimeNs, type RandomBytes } from './core/clock.ts';
export { EdgeError, type ErrorCode, errnoOf, EXIT_BY_CODE, isEdgeError, toEdgeError } from './core/errors.ts';
export * as ids from './core/ids.ts';
export type { Progress, ReportProgress, ReportWarning, Warning } from './core/ports/progress.ts';
