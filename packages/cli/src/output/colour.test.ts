import { expect, test } from 'vitest';
import { chooseColours } from './colour.ts';

test.each([
  [true, {}, false, true],
  [false, {}, false, false],
  [true, { NO_COLOR: '1' }, false, false],
  [true, { NO_COLOR: '' }, false, true],
  [true, { TERM: 'dumb' }, false, false],
  [false, { FORCE_COLOR: '1' }, false, true],
  [true, { FORCE_COLOR: '0' }, false, false],
  [false, { FORCE_COLOR: '1', NO_COLOR: '1', TERM: 'dumb' }, false, true],
  [true, { FORCE_COLOR: '1' }, true, false],
] as const)('terminal %j, environment %j, --no-color %j: %j', (isTerminal, env, forbidden, on) => {
  const colours = chooseColours({ isTerminal, env, forbidden });
  expect(colours.on).toBe(on);
  expect(colours.red('x') === 'x').toBe(!on);
});
