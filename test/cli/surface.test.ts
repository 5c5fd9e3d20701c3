/** The command surface is a contract: any change of it shows here, and is made on purpose. */
import { readFileSync } from 'node:fs';
import { expect, test } from 'vitest';

const cli = new URL('../../packages/cli/', import.meta.url);
const read = (name: string): unknown => JSON.parse(readFileSync(new URL(name, cli), 'utf8'));

test('commands, arguments and flags are those of packages/cli/surface.json', async () => {
  const { surfaceOf } = (await import(new URL('scripts/surface.mjs', cli).href)) as {
    surfaceOf: (manifest: unknown) => unknown;
  };
  // When the change is meant: node packages/cli/scripts/write-surface.mjs
  expect(surfaceOf(read('oclif.manifest.json'))).toEqual(read('surface.json'));
});

test('every command of this version is there, and none of a later one', () => {
  const { commands } = read('surface.json') as { commands: Record<string, unknown> };
  expect(Object.keys(commands).sort()).toEqual(
    [
      'init sync restore recover ls find cat status where scrub doctor',
      'snapshot list|snapshot show|snapshot diff|snapshot pin|snapshot unpin',
      'root add|root list|root remove|root check-ignore|policy show',
      'peer invite|peer join|peer list|peer show',
      'tier status|tier plan|tier run|tier recall',
      'agent run|agent status|agent reload|agent stop|agent install|jobs list|jobs show',
      'key list|key add|key remove|key check-recovery|config validate|config show',
    ]
      .flatMap((line, i) => line.split(i === 0 ? ' ' : '|'))
      .sort(),
  );
});
