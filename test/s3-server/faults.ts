/** What the server does wrong on request: a plan of faults, set through its control address, and a count of requests. */

export type S3Verb = 'put' | 'get' | 'head' | 'list' | 'delete' | 'bucket';

export interface ServerFault {
  readonly verb: S3Verb;
  /** A regular expression on the key (for listings: the prefix). */
  readonly key?: string;
  /** The first matching request it strikes, from 1; with `times` how many in a row (default 1). Without: every one. */
  readonly nth?: number;
  readonly times?: number;
  readonly effect: ServerEffect;
}

export type ServerEffect =
  /** Answers so, and does nothing. */
  | { readonly kind: 'status'; readonly status: number; readonly code: string }
  /** Does the work and closes the connection instead of answering. */
  | { readonly kind: 'drop-reply' }
  /** Closes the connection at once. */
  | { readonly kind: 'reset' }
  /** Waits, then goes on. */
  | { readonly kind: 'slow'; readonly ms: number }
  /** Reads and never answers. */
  | { readonly kind: 'stall' }
  /** get: promises the whole body, sends so many bytes, and closes. */
  | { readonly kind: 'truncate'; readonly bytes: number }
  /** get: a short body that looks complete, with status 200 or 206. */
  | { readonly kind: 'short'; readonly bytes: number }
  /** get: one flipped bit. put: the same in what is stored, with the digest of what was stored. */
  | { readonly kind: 'flip'; readonly bit: number }
  /** get: another object's bytes. */
  | { readonly kind: 'wrong-bytes'; readonly key: string }
  /** get: the whole object with 200 although a range was asked. */
  | { readonly kind: 'ignore-range' }
  /** list: without the newest `newest` objects. head, get: 404 for an object that is there. */
  | { readonly kind: 'stale'; readonly newest?: number }
  /** put: 200 without storing anything. */
  | { readonly kind: 'lie' };

export interface RequestCounts {
  readonly requests: Record<S3Verb, number>;
  bytesIn: number;
  bytesOut: number;
}

export interface FaultInjector {
  setPlan(plan: readonly ServerFault[]): void;
  strike(verb: S3Verb, key: string): ServerEffect | undefined;
  readonly counts: RequestCounts;
  resetCounts(): void;
}

export function createFaultInjector(): FaultInjector {
  let plan: { readonly fault: ServerFault; readonly key: RegExp; seen: number }[] = [];
  const none = () => ({ put: 0, get: 0, head: 0, list: 0, delete: 0, bucket: 0 });
  const counts: RequestCounts = { requests: none(), bytesIn: 0, bytesOut: 0 };
  return {
    counts,
    resetCounts() {
      Object.assign(counts.requests, none());
      counts.bytesIn = 0;
      counts.bytesOut = 0;
    },
    setPlan(next) {
      plan = next.map((fault) => ({ fault, key: new RegExp(fault.key ?? ''), seen: 0 }));
    },
    strike(verb, key) {
      counts.requests[verb] += 1;
      let effect: ServerEffect | undefined;
      for (const entry of plan) {
        if (entry.fault.verb !== verb || !entry.key.test(key)) continue;
        entry.seen += 1;
        const { nth, times = 1 } = entry.fault;
        if (effect === undefined && (nth === undefined || (entry.seen >= nth && entry.seen < nth + times)))
          effect = entry.fault.effect;
      }
      return effect;
    },
  };
}
