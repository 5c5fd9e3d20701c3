import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { EdgeError } from '@edgestore/engine';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { itemsOfSettings, removeConfigItem, writeConfigItem } from './config-items.ts';
import { loadConfig } from './load-config.ts';
import { configJsonSchema } from './schema.ts';
import { configWithoutSecrets, showConfig } from './show-config.ts';

let folder: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'edgestore-config-'));
});
afterEach(() => rmSync(folder, { recursive: true, force: true }));

function load(text: string, env: NodeJS.ProcessEnv = {}) {
  const file = join(folder, 'edgestore.toml');
  writeFileSync(file, text);
  return loadConfig({ flagPath: file, dataDir: join(folder, 'data'), env });
}

function errorOf(run: () => unknown): EdgeError {
  try {
    run();
  } catch (error) {
    expect(error).toBeInstanceOf(EdgeError);
    return error as EdgeError;
  }
  throw new Error('no error was thrown');
}

describe('a valid configuration', () => {
  it('has defaults for what is not said', () => {
    const { config } = load(`
[[roots]]
name = "photos"
path = "/srv/photos"

[replication.default]
[tiering.default]
cold = "bucket"
[stores.bucket]
url = "s3://backup/edge"
[limits]
upload = "50Mbit/s"
`);
    expect(config.roots[0]).toMatchObject({
      settleMs: 2000,
      rescanMs: 6 * 3600 * 1000,
      watch: true,
      maxDelete: undefined,
    });
    expect(config.replication.default).toMatchObject({ copies: 2, sites: 2 });
    expect(config.tiering.default).toMatchObject({
      hotNs: 30n * 86_400_000_000_000n,
      warmNs: 90n * 86_400_000_000_000n,
      cold: 'bucket',
    });
    expect(config.limits.uploadBytesPerS).toBe(6_250_000);
  });

  it('is empty without any file', () => {
    const { config, dataDir, files } = loadConfig({
      dataDir: join(folder, 'data'),
      env: { HOME: folder, XDG_CONFIG_HOME: folder },
    });
    expect(config.roots).toEqual([]);
    expect(config.replication).toEqual({});
    expect(dataDir).toBe(join(folder, 'data'));
    expect(files).toEqual([]);
  });

  it('names keys that have no effect yet, when they are there', () => {
    const unused = (text: string) => load(text).warnings.map(({ message }) => message.split(' ')[0]);
    expect(unused('[replication.default]\ncopies = 1\n')).toEqual([]);
    expect(unused('[replication.default]\ndead_after = "24h"\n[limits]\nmemory = "1GiB"\n')).toEqual([
      'limits.memory',
      'replication.default.dead_after',
    ]);
  });

  it('starts with a byte order mark without harm', () => {
    expect(load('\uFEFF[agent]\nname = "shop"\n').config.agent.name).toBe('shop');
  });

  it('takes the data dir from flag, environment, file, in this order', () => {
    const file = join(folder, 'c.toml');
    writeFileSync(file, '[agent]\ndata_dir = "/from/file"\n');
    expect(
      loadConfig({ flagPath: file, dataDir: '/from/flag', env: { EDGESTORE_DATA_DIR: '/from/env' } }).dataDir,
    ).toBe('/from/flag');
    expect(loadConfig({ flagPath: file, env: { EDGESTORE_DATA_DIR: '/from/env' } }).dataDir).toBe('/from/env');
    expect(loadConfig({ flagPath: file, env: {} }).dataDir).toBe('/from/file');
  });

  it('joins the items that commands wrote, and shows where each value came from', () => {
    writeConfigItem(join(folder, 'data'), {
      kind: 'roots',
      name: 'docs',
      values: { path: '/srv/docs', max_delete: '10%' },
    });
    const loaded = load(
      '[agent]\nname = "shop"\n[stores.b]\nurl = "s3://bb"\nendpoint = "https://user:hidden@s3.example"\n',
    );
    expect(loaded.config.roots[0]).toMatchObject({ name: 'docs', path: '/srv/docs', maxDelete: { percent: 10 } });
    const shown = showConfig(loaded);
    expect(shown.find((v) => v.key === 'agent.name')?.origin).toBe(`${join(folder, 'edgestore.toml')}:2`);
    expect(shown.find((v) => v.key === 'roots.docs.path')?.origin).toMatch(/conf\.d\/root-docs\.toml:\d+$/);
    expect(shown.find((v) => v.key === 'roots.docs.settle')).toMatchObject({ value: '2s', origin: 'default' });
    expect(JSON.stringify(shown)).not.toContain('hidden');
    expect(itemsOfSettings(configWithoutSecrets(loaded)).map((i) => `${i.kind}/${i.name}`)).toEqual([
      'roots/docs',
      'stores/b',
    ]);
    expect(removeConfigItem(join(folder, 'data'), 'roots', 'docs')).toBe(true);
    expect(removeConfigItem(join(folder, 'data'), 'roots', 'docs')).toBe(false);
  });

  it('has a JSON schema', () => {
    expect(configJsonSchema()).toMatchObject({ type: 'object', additionalProperties: false, title: 'edgestore.toml' });
  });
});

describe('a configuration with mistakes', () => {
  const cases: readonly [name: string, text: string, expected: readonly string[]][] = [
    ['unknown key', '[agent]\nnmae = "x"\n', [':2: agent.nmae: is not a known key; did you mean "name"?']],
    ['unknown table', '[limit]\nupload = "1MB/s"\n', [':1: limit: is not a known key; did you mean "limits"?']],
    [
      'unknown key in a list',
      '[[roots]]\nname = "a"\npath = "/a"\n\n[[roots]]\nname = "b"\npath = "/b"\nrescann = "1h"\n',
      [':8: roots[1].rescann: is not a known key; did you mean "rescan"?'],
    ],
    [
      'wrong type',
      '[[roots]]\nname = "a"\npath = "/a"\nwatch = "yes"\n',
      [':4: roots[0].watch: has to be true or false'],
    ],
    [
      'bare number for a duration',
      '[[roots]]\nname = "a"\npath = "/a"\nsettle = 2\n',
      [':4: roots[0].settle: a bare number is not a duration'],
    ],
    ['bare number for a rate', '[limits]\nupload = 50\n', [':2: limits.upload: a bare number is not a rate']],
    ['bare number in quotes for an age', '[tiering.default]\nhot = "30"\n', [':2: tiering.default.hot: ']],
    ['negative age', '[tiering.default]\nhot = "-3d"\n', [':2: tiering.default.hot: ']],
    ['relative path', '[[roots]]\nname = "a"\npath = "srv"\n', [':3: roots[0].path: is not an absolute path']],
    ['missing path', '[[roots]]\nname = "a"\n', [':1: roots[0].path: is missing']],
    ['syntax', '[agent]\nname = \n', [':2: is not valid TOML']],
    ['key twice in one file', '[agent]\nname = "a"\nname = "b"\n', [':3: is not valid TOML']],
    [
      'root twice in one file',
      '[[roots]]\nname = "a"\npath = "/a"\n[[roots]]\nname = "a"\npath = "/b"\n',
      [':4: roots[1]: sets "roots.a" again; it is set at '],
    ],
    [
      'store that is not there',
      '[tiering.default]\ncold = "buket"\n[stores.bucket]\nurl = "s3://bb"\n',
      [':2: tiering.default.cold: names the store "buket", which does not exist; did you mean "bucket"?'],
    ],
    [
      'ages out of order',
      '[tiering.default]\nhot = "90d"\nwarm = "30d"\n',
      [':3: tiering.default.warm: is shorter than hot'],
    ],
    [
      'more sites than copies',
      '[replication.default]\ncopies = 1\nsites = 2\n',
      [':3: replication.default.sites: is 2, more than copies'],
    ],
    [
      'control API on the network',
      '[agent]\napi_listen = "0.0.0.0:80"\n',
      ['2 problems', ':2: agent.api_listen: has to be a loopback address'],
    ],
    [
      'prototype names',
      '[replication.constructor]\ncopies = -1\n',
      [':2: replication.constructor.copies: has to be at least 0'],
    ],
    ['empty name', '[replication.""]\n', [': replication.: is not a name']],
    [
      'several at once',
      '[agent]\nnmae = "x"\n[limits]\nupload = 5\nworkers = 0\n',
      ['3 problems', ':2: agent.nmae', ':4: limits.upload', ':5: limits.workers: has to be at least 1'],
    ],
  ];
  it.each(cases)('%s', (_, text, expected) => {
    const error = errorOf(() => load(text));
    expect(error.code).toBe('E_CONFIG');
    expect(error.exitCode).toBe(2);
    for (const part of expected) expect(error.message).toContain(part);
    if (expected[0]!.startsWith(':')) expect(error.message.startsWith(join(folder, 'edgestore.toml'))).toBe(true);
  });

  it('names every file with problems, and a name set in two files', () => {
    mkdirSync(join(folder, 'data/conf.d'), { recursive: true });
    writeFileSync(join(folder, 'data/conf.d/root-a.toml'), '[[roots]]\nname = "a"\npath = "/a"\nfoo = 1\n');
    const error = errorOf(() => load('[[roots]]\nname = "a"\npath = "/a"\n[agent]\nsit = "x"\n'));
    expect(error.message).toContain('edgestore.toml:5: agent.sit: is not a known key; did you mean "site"?');
    expect(error.message).toContain('root-a.toml:4: roots[0].foo: is not a known key');
    expect(error.message).toContain('root-a.toml:1: roots[0]: sets "roots.a" again; it is set at ');
  });

  it('a named file that is not there', () => {
    expect(errorOf(() => loadConfig({ flagPath: join(folder, 'none.toml'), env: {} })).code).toBe('E_CONFIG');
    expect(errorOf(() => loadConfig({ env: { EDGESTORE_CONFIG: join(folder, 'none.toml') } })).code).toBe('E_CONFIG');
  });

  it('bytes that are not UTF-8, and ten megabytes', () => {
    const file = join(folder, 'bad.toml');
    writeFileSync(file, Buffer.from([0x61, 0xff, 0xfe]));
    expect(errorOf(() => loadConfig({ flagPath: file, env: {} })).message).toContain('not UTF-8');
    writeFileSync(file, '#'.repeat(10_000_000));
    expect(errorOf(() => loadConfig({ flagPath: file, env: {} })).message).toContain('10000000 bytes');
  });
});
