import { expect, test } from 'vitest';
import { createIgnoreRules, type FolderIgnore } from './ignore-rules.ts';
import { createPathFilter } from './path-filter.ts';

/** Ignore files by folder (Latin-1, so that any byte can be written), and paths with whether they are left out; folders end with a slash. */
interface Case {
  readonly exclude?: readonly string[];
  readonly files: Readonly<Record<string, string>>;
  readonly ignored: readonly string[];
  readonly kept: readonly string[];
}

/** Walks down to the path as a capture does: what lies in a folder that is left out is never looked at. */
function isIgnored({ exclude = [], files }: Case, path: string): boolean {
  const bytes = (text: string) => Buffer.from(text, 'latin1');
  const fileOf = (folder: string) => (files[folder] === undefined ? undefined : bytes(files[folder]));
  let rules: FolderIgnore = createIgnoreRules(exclude, fileOf(''));
  const isFolder = path.endsWith('/');
  const parts = path.replace(/\/$/, '').split('/');
  for (let i = 0; i < parts.length; i++) {
    const isLast = i === parts.length - 1;
    if (rules.match(bytes(parts[i]!), !isLast || isFolder) !== undefined) return true;
    if (!isLast) rules = rules.enter(bytes(parts[i]!), fileOf(parts.slice(0, i + 1).join('/')));
  }
  return false;
}

/** Each was compared with what git does with the same files as .gitignore. */
const CASES: Record<string, Case> = {
  'names at any depth, anchored ones at their folder': {
    files: { '': '*.log\n/top\nmid/dle\n' },
    ignored: ['a.log', 'x/y/a.log', 'top', 'mid/dle'],
    kept: ['a.logs', 'x/top', 'x/mid/dle'],
  },
  'folders only': { files: { '': 'build/\n' }, ignored: ['build/', 'a/build/', 'build/x'], kept: ['build', 'a/build'] },
  'taking back, but not from a folder that is left out': {
    files: { '': '*.log\n!keep.log\nout/\n!out/in\n' },
    ignored: ['a.log', 'out/in'],
    kept: ['keep.log', 'x/keep.log'],
  },
  'a deeper file goes before a higher one': {
    files: { '': 'build/\n*.tmp\n', sub: '!build/\n!/a.tmp\nlocal\n' },
    ignored: ['build/x', 'sub/b.tmp', 'sub/deep/a.tmp', 'sub/local', 'sub/x/local', 'sub/build/y.tmp'],
    kept: ['sub/build/', 'sub/build/x', 'sub/a.tmp', 'local'],
  },
  'anchors of a deeper file are its own folder': {
    files: { 'a/b': '/x\ny/z\n**/q\n' },
    ignored: ['a/b/x', 'a/b/y/z', 'a/b/q', 'a/b/c/q'],
    kept: ['x', 'a/x', 'a/b/c/x', 'y/z', 'a/b/c/y/z', 'q'],
  },
  'any folders': {
    files: { '': 'a/**/z\ndeep/**\n**/m\n' },
    ignored: ['a/z', 'a/b/z', 'a/b/c/z', 'deep/x', 'deep/x/y', 'm', 'k/m'],
    kept: ['deep/', 'a/zz', 'x/a/z'],
  },
  'comments, blank lines, escapes, spaces at the end, CR LF, a byte order mark': {
    files: { '': '\xef\xbb\xbffirst\r\n# no\n\n\\#hash\n\\!bang\ntrail   \nspace\\ \n' },
    ignored: ['first', '#hash', '!bang', 'trail', 'space '],
    kept: ['# no', 'trail   ', 'space'],
  },
  'case counts, and so does every byte': {
    files: { '': 'Readme\n\xff\xfe*\nna\xc3\xafve\n[\x80-\x9f]x\n' },
    ignored: ['Readme', '\xff\xfe\xfd', 'na\xc3\xafve', '\x85x'],
    kept: ['README', 'readme', '\xff\xfd', '\xa0x', '\xef'],
  },
  'names that look like patterns in the path of a folder': {
    files: { 'we[i]rd *?': 'x\n/y\n', '!bang': 'x\n', '#hash/ sp ': '/x\n', 'nl\nnl': 'x\n' },
    ignored: ['we[i]rd *?/x', 'we[i]rd *?/d/x', 'we[i]rd *?/y', '!bang/x', '#hash/ sp /x', 'nl\nnl/x', 'nl\nnl/d/x'],
    kept: ['weird *?/x', 'weird abc/y', 'bang/x', 'x'],
  },
  'the config is firm': {
    exclude: ['*.iso', '/cache/'],
    files: { '': '!a.iso\n!cache/\n' },
    ignored: ['a.iso', 'x/b.iso', 'cache/', 'cache/x'],
    kept: ['x/cache/', 'a.is'],
  },
};

test.each(Object.entries(CASES))('%s', (_, one) => {
  expect(one.ignored.filter((path) => !isIgnored(one, path))).toEqual([]);
  expect(one.kept.filter((path) => isIgnored(one, path))).toEqual([]);
});

test('a match names the pattern as written and where it stands', () => {
  const top = createIgnoreRules(['*.iso'], Buffer.from('*.log\n'));
  expect(top.match(Buffer.from('a.iso'), false)).toEqual({ pattern: '*.iso', origin: 'exclude' });
  expect(top.match(Buffer.from('a.log'), false)).toEqual({ pattern: '*.log', origin: '.edgestoreignore' });
  const deep = top.enter(Buffer.from('d'), undefined).enter(Buffer.from('e'), Buffer.from('x\\ y\n'));
  expect(deep.match(Buffer.from('x y'), false)).toEqual({ pattern: 'x\\ y', origin: 'd/e/.edgestoreignore' });
  expect(deep.match(Buffer.from('a.log'), false)?.origin).toBe('.edgestoreignore');
});

test('rules hold on beyond the number of paths that are remembered', () => {
  const rules = createIgnoreRules([], Buffer.from('*.log\n'));
  for (let i = 0; i < 25_000; i++) {
    if (
      rules.match(Buffer.from(`f${i}.log`), false) === undefined ||
      rules.match(Buffer.from(`f${i}.txt`), false) !== undefined
    )
      throw new Error(`wrong at ${i}`);
  }
});

test('a restore filter takes, looks into, or skips', () => {
  const path = (text: string) => Buffer.from(text, 'latin1');
  const all = createPathFilter([], ['*.tmp', '/cache/']);
  expect(all(path('a.txt'), false)).toBe('take');
  expect(all(path('x/a.tmp'), false)).toBe('skip');
  expect(all(path('cache'), true)).toBe('skip');
  const some = createPathFilter(['docs/', './src/*.js', '\\xff*'], ['docs/old']);
  expect(some(path('docs'), true)).toBe('take');
  expect(some(path('docs/a/b.txt'), false)).toBe('take');
  expect(some(path('docs/old'), true)).toBe('skip');
  expect(some(path('src'), true)).toBe('look');
  expect(some(path('src/a.js'), false)).toBe('take');
  expect(some(path('src/b'), true)).toBe('look');
  expect(some(path('src/a.c'), false)).toBe('skip');
  expect(some(path('x/\xffy'), false)).toBe('take');
});
