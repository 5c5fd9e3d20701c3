/** One row of the fault table: a fault, how it is injected, what must hold then, and the tests that look. */
export interface FaultRow {
  readonly id: string;
  readonly fault: string;
  readonly injected: string;
  readonly holds: string;
  /** File (from the root of the repository) and name of each test; `{what}` stands for what differs between tests of one loop. */
  readonly tests: readonly (readonly [file: string, name: string])[];
  /** Why there is no test, or what of the fault the tests leave out. */
  readonly untested?: string;
}

type Tests = readonly (readonly [place: string, ...names: readonly string[]])[];

export function row(
  id: string,
  fault: string,
  injected: string,
  holds: string,
  tests: Tests,
  untested?: string,
): FaultRow {
  const named = tests.flatMap(([place, ...names]) => names.map((name) => [pathOf(place), name] as const));
  return { id, fault, injected, holds, tests: named, ...(untested === undefined ? {} : { untested }) };
}

/** `engine:`, `agent:` and `cli:` are the sources of the packages; everything else lies below test/. */
function pathOf(place: string): string {
  const [, where, rest = ''] = /^(engine|agent|cli):(.*)$/.exec(place) ?? [];
  return where === undefined ? `test/${place}.test.ts` : `packages/${where}/src/${rest}.test.ts`;
}
