import { describe, expect, test } from 'vitest';
import { findCommand } from './find-command.ts';

const IDS = ['sync', 'ls', 'snapshot:list', 'snapshot:show', 'config:show'];

describe('findCommand', () => {
  test('takes the longest command that the words name, and leaves the rest as its arguments', () => {
    expect(findCommand(['snapshot', 'show', 'latest', '--json'], IDS)).toEqual({
      kind: 'command',
      id: 'snapshot:show',
      argv: ['latest', '--json'],
    });
    expect(findCommand(['sync', 'snapshot', 'list'], IDS)).toMatchObject({ id: 'sync', argv: ['snapshot', 'list'] });
  });

  test('global flags may stand before the command, with their values', () => {
    expect(findCommand(['--data-dir', '/d', '-q', '--config=/c', 'snapshot', 'list'], IDS)).toEqual({
      kind: 'command',
      id: 'snapshot:list',
      argv: ['--data-dir', '/d', '-q', '--config=/c'],
    });
  });

  test('help is found anywhere before --, version alone', () => {
    expect(findCommand(['sync', '/x', '--help'], IDS)).toEqual({ kind: 'help', id: 'sync' });
    expect(findCommand(['help', 'snapshot'], IDS)).toEqual({ kind: 'help', id: 'snapshot' });
    expect(findCommand([], IDS)).toEqual({ kind: 'help', id: undefined });
    expect(findCommand(['sync', '--', '--help'], IDS)).toMatchObject({ kind: 'command', argv: ['--', '--help'] });
    expect(findCommand(['--version'], IDS)).toEqual({ kind: 'version' });
  });

  test.each([
    [['snyc'], /did you mean "sync"/],
    [['snapshot', 'lits'], /did you mean "snapshot list"/],
    [['snapshot'], /needs a verb: list, show/],
    [['--nonsense', 'sync'], /missing before --nonsense/],
    [['help', 'xyzzy'], /no command "xyzzy"/],
  ])('%j names no command', (argv, message) => {
    expect(() => findCommand(argv, IDS)).toThrow(message);
  });
});
