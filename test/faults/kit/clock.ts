/** A clock that is wrong, in the environment of one process: libfaketime changes what the wall clock says. Timers go on as they should. */
import { faketimeLibrary } from './tools.ts';

/** `shift` in the words of libfaketime: `+1y`, `-10d`, `@2040-01-01 00:00:00` (starts there and goes on). */
export function clockShiftedBy(shift: string): Readonly<Record<string, string>> {
  const library = faketimeLibrary();
  if (library === undefined) throw new Error('libfaketime is not installed');
  return {
    LD_PRELOAD: library,
    FAKETIME: shift,
    FAKETIME_DONT_FAKE_MONOTONIC: '1',
    DONT_FAKE_MONOTONIC: '1',
    // File times would be moved too, and every file of a root would look changed.
    NO_FAKE_STAT: '1',
  };
}
