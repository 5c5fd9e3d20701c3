import { createHash } from 'node:crypto';
import { expect, test } from 'vitest';
import { checkChain, headOf } from './check-chain.ts';
import { nextEnvelope } from './next-envelope.ts';
import type { HashedEnvelope } from './record.ts';
import type { Head } from './record-body.ts';

const writer = { vault: '0'.repeat(32), agent: '1'.repeat(32), keyId: 1 };

/** The next record after `head` in an incarnation; `variant` makes two that differ. */
function next(head: Head | undefined, incarnation: number, variant = ''): HashedEnvelope {
  const envelope = nextEnvelope(head, { ...writer, incarnation });
  const hash = createHash('sha256')
    .update(JSON.stringify([envelope, variant]))
    .digest('hex');
  return { ...envelope, hash };
}

function grow(from: HashedEnvelope | undefined, count: number, incarnation: number, variant = ''): HashedEnvelope[] {
  const out: HashedEnvelope[] = [];
  let last = from;
  while (out.length < count) {
    last = next(last === undefined ? undefined : headOf(last), incarnation, variant);
    out.push(last);
  }
  return out;
}

const main = grow(undefined, 6, 1);
const code = (run: () => unknown) => {
  try {
    run();
    return 'ok';
  } catch (error) {
    return (error as { code: string }).code;
  }
};

test('a chain is accepted in any order, with repeats, from any beginning', () => {
  expect(checkChain([...main].reverse())).toEqual({ head: headOf(main[5]!), main, branches: new Set() });
  expect(checkChain([...main, ...main]).main).toEqual(main);
  expect(checkChain(main.slice(3)).head).toEqual(headOf(main[5]!));
  expect(checkChain([])).toEqual({ head: undefined, main: [], branches: new Set() });
});

test('records missing in between are an integrity failure', () => {
  expect(code(() => checkChain([...main.slice(0, 2), ...main.slice(3)]))).toBe('E_INTEGRITY');
});

test('two records with one number are a fork, and the error names both', () => {
  const other = next(headOf(main[2]!), 1, 'other');
  expect(() => checkChain([...main, other])).toThrow(
    expect.objectContaining({
      code: 'E_FORK',
      exitCode: 9,
      context: expect.objectContaining({ first: expect.objectContaining({ seq: 4 }) }),
    }),
  );
  const replaced = [...main.slice(0, 3), other, ...main.slice(4)];
  expect(code(() => checkChain(replaced))).toBe('E_FORK');
});

test('an end before what was seen is a rollback, another record in its place a fork', () => {
  expect(code(() => checkChain(main, headOf(main[5]!)))).toBe('ok');
  expect(code(() => checkChain(main, headOf(main[2]!)))).toBe('ok');
  expect(code(() => checkChain(main.slice(0, 4), headOf(main[5]!)))).toBe('E_ROLLBACK');
  expect(code(() => checkChain([], headOf(main[0]!)))).toBe('E_ROLLBACK');
  expect(code(() => checkChain(main, { ...headOf(main[2]!), hash: 'f'.repeat(64) }))).toBe('E_FORK');
});

test('a takeover goes on from its base, and what the old life wrote beyond it is a branch', () => {
  const second = grow(main[3], 3, 2);
  expect(second[0]).toMatchObject({ incarnation: 2, seq: 5, previous: main[3]!.hash });
  const checked = checkChain([...main, ...second]);
  expect(checked.head).toEqual(headOf(second[2]!));
  expect(checked.branches).toEqual(new Set([main[4]!.hash, main[5]!.hash]));
  expect(checked.main).toEqual([...main.slice(0, 4), ...second]);
  expect(checkChain(second).branches.size).toBe(0);
});

test('a takeover of a takeover leaves branches of both lives', () => {
  const second = grow(main[3], 3, 2);
  const third = grow(second[0], 2, 3);
  const { branches } = checkChain([...main, ...second, ...third]);
  expect(branches).toEqual(new Set([main[4]!, main[5]!, second[1]!, second[2]!].map(({ hash }) => hash)));
});

test('a takeover without anything to go on from begins at number 1 of its incarnation', () => {
  const fresh = grow(undefined, 2, 2);
  expect(checkChain(fresh).head).toEqual(headOf(fresh[1]!));
  expect(code(() => checkChain([...main, ...fresh]))).toBe('ok');
});

test('two takeovers with one incarnation are a fork', () => {
  expect(code(() => checkChain([...main, ...grow(main[3], 2, 2), ...grow(main[3], 2, 2, 'other')]))).toBe('E_FORK');
  expect(code(() => checkChain([...main, ...grow(main[1], 1, 2), ...grow(main[5], 1, 2)]))).toBe('E_FORK');
  expect(code(() => checkChain([...main, ...grow(main[1], 2, 2), ...grow(main[2], 1, 2)]))).toBe('E_FORK');
});

test('records of another agent or vault, and numbers that contradict, are an integrity failure', () => {
  expect(code(() => checkChain([...main, { ...main[5]!, agent: '2'.repeat(32), seq: 7 }]))).toBe('E_INTEGRITY');
  expect(code(() => checkChain([{ ...main[0]!, previous: 'a'.repeat(64) }]))).toBe('E_INTEGRITY');
});

test('no record is written behind a later life', () => {
  expect(() => nextEnvelope({ incarnation: 2, seq: 5, hash: 'a'.repeat(64) }, { ...writer, incarnation: 1 })).toThrow(
    /behind/,
  );
});
