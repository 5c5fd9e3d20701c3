import { expect, test } from 'vitest';
import { recoverArguments } from './raw-arguments.ts';

const commandLine = (...parts: (string | Buffer)[]): Uint8Array =>
  Buffer.concat(parts.flatMap((part) => [Buffer.from(part as string), Buffer.from([0])]));

test('arguments that are UTF-8 are left alone, without a look at the command line', () => {
  const fail = (): never => {
    throw new Error('not needed');
  };
  expect(recoverArguments(['ls', 'ünïcödé \\x41'], fail)).toEqual(['ls', 'ünïcödé \\x41']);
});

test('bytes that are no UTF-8 come back escaped, whatever stands before', () => {
  const name = Buffer.concat([Buffer.from('a\\'), Buffer.from([0xff, 0xc3, 0xa9])]);
  const raw = () => commandLine('/usr/bin/node', '--flag', '/bin/run.js', 'cat', name, '');
  expect(recoverArguments(['cat', name.toString('utf8'), ''], raw)).toEqual(['cat', 'a\\x5c\\xffé', '']);
});

test('a command line that does not fit (no /proc, another program) changes nothing', () => {
  const mangled = ['cat', 'a\ufffd'];
  expect(recoverArguments(mangled, () => new Uint8Array())).toEqual(mangled);
  expect(recoverArguments(mangled, () => commandLine('node', 'run.js', 'x', 'y'))).toEqual(mangled);
});
