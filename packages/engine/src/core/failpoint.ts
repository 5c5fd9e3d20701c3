/**
 * Named places at which a test can kill the process: one after every durable step, so that each state which a crash may leave on disk is
 * tried. In production a failpoint is one check of one boolean.
 *
 * The list of all names is in `failpoint-names.ts`, generated from the calls in the sources by `scripts/list-failpoints.mjs`; a test compares.
 */

let armed = false;
let onHit: (name: string) => void = () => {};

/** Marks a step. The name is `<area>.<what has just happened>` and must be a literal, since the list is generated from the sources. */
export function failpoint(name: string): void {
  if (armed) onHit(name);
}

/** Only the composition root (and tests) call this; the handler decides to log, kill or throw. Returns a function that disarms. */
export function armFailpoints(handler: (name: string) => void): () => void {
  armed = true;
  onHit = handler;
  return () => {
    armed = false;
    onHit = () => {};
  };
}

/**
 * The handler behind `EDGESTORE_FAILPOINT=name[:nth]` and `EDGESTORE_FAILPOINT_LOG`: calls `kill` at the nth hit (1 = the first) of the name,
 * and `log` at every hit. A setting that names nothing usable returns undefined, and the root says so.
 */
export function failpointHandler(
  setting: string | undefined,
  kill: () => void,
  log?: (name: string) => void,
): ((name: string) => void) | undefined {
  const match = setting === undefined ? undefined : /^([a-z0-9.-]+)(?::([1-9][0-9]{0,8}))?$/.exec(setting);
  if (setting !== undefined && match === null) return undefined;
  const wanted = match?.[1];
  let left = Number(match?.[2] ?? 1);
  return (name) => {
    log?.(name);
    if (name === wanted && --left === 0) kill();
  };
}
