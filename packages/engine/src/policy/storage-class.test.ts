import { expect, it } from 'vitest';
import { storageClassProblem } from './storage-class.ts';

it('takes classes that can be read at once, and no other', () => {
  for (const name of ['STANDARD', 'STANDARD_IA', 'ONEZONE_IA', 'INTELLIGENT_TIERING', 'GLACIER_IR'])
    expect(storageClassProblem(name), name).toBeUndefined();
  for (const name of ['GLACIER', 'DEEP_ARCHIVE', 'glacier']) expect(storageClassProblem(name), name).toMatch(/archive/);
  for (const name of ['STANDRAD_IA', 'standard', ''])
    expect(storageClassProblem(name), name).toMatch(/knows: STANDARD/);
});
