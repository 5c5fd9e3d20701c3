import { describe, expect, it } from 'vitest';
import { findKeyPositions, lineOf } from './key-positions.ts';

describe('findKeyPositions', () => {
  const text = `# first
title = "a # no comment" # comment
[a."b c".d] # header
x.y = 1
z = [
  "one", # two
  { k = 1, l = [1, 2] },
]
long = """
[not.a.table]
\\""" still
"""
after = 'x'
[[list]]
n = 1
[list.sub]
m = 2
[[list]]
n = { p = { q = 1 } }
`;
  const positions = findKeyPositions(text);
  it.each([
    [['title'], 2],
    [['a', 'b c', 'd'], 3],
    [['a', 'b c', 'd', 'x', 'y'], 4],
    [['a', 'b c', 'd', 'z', 0], 6],
    [['a', 'b c', 'd', 'z', 1, 'l'], 7],
    [['a', 'b c', 'd', 'long'], 9],
    [['a', 'b c', 'd', 'after'], 13],
    [['list', 0, 'n'], 15],
    [['list', 0, 'sub', 'm'], 17],
    [['list', 1], 18],
    [['list', 1, 'n', 'p', 'q'], 19],
    [['list', 1, 'missing'], 18],
  ] as const)('%j is on line %i', (path, line) => {
    expect(lineOf(positions, path)).toBe(line);
  });
});
