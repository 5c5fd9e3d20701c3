/** What the pages say lies somewhere lies there: paths in backquotes, and the targets of links. */
import { existsSync, globSync, readdirSync, readFileSync } from 'node:fs';
import { dirname, join, resolve } from 'node:path';
import { expect, test } from 'vitest';

const root = resolve(import.meta.dirname, '../..');
const pages = [
  'README.md',
  'CONTRIBUTING.md',
  ...readdirSync(join(root, 'docs'), { recursive: true, encoding: 'utf8' })
    .filter((name) => name.endsWith('.md'))
    .map((name) => `docs/${name}`),
];

/** A relative path with a slash that names a source file (`*` allowed) or, ending in a slash, a folder. */
const PATH = /^(?!\/|~|https?:)[\w.@*-]+\/(?:[\w.@*-]+\/)*(?:[\w.@*-]+\.(?:ts|mjs|js|md|py|sql|json|yml))?$/;
/** Where a path begins when it is not one of the engine's. */
const FROM_ROOT = /^(packages|test|scripts|docs)\//;

function missing(paths: readonly string[]): string[] {
  return paths.filter((path) => (path.includes('*') ? globSync(path).length === 0 : !existsSync(path)));
}

for (const page of ['README.md', 'docs/architecture.md']) {
  test(`paths in ${page}`, () => {
    const text = readFileSync(join(root, page), 'utf8').replace(/^```[\s\S]*?^```/gm, '');
    const named = [...text.matchAll(/`([^`\n]+)`/g)].map((match) => match[1]!);
    const paths = named
      .filter((name) => PATH.test(name) && name.indexOf('/') < name.length - 1)
      .map((name) => join(root, FROM_ROOT.test(name) ? '' : 'packages/engine/src', name));
    if (page !== 'README.md') expect(paths.length).toBeGreaterThan(50);
    expect(missing(paths)).toEqual([]);
  });
}

test('targets of links', () => {
  const targets = pages.flatMap((page) => {
    const text = readFileSync(join(root, page), 'utf8');
    return [...text.matchAll(/\]\(([^)#\s]+)(?:#[^)]*)?\)/g)]
      .map((match) => match[1]!)
      .filter((target) => !/^[a-z]+:/.test(target))
      .map((target) => resolve(root, dirname(page), target));
  });
  expect(targets.length).toBeGreaterThan(10);
  expect(missing(targets)).toEqual([]);
});
