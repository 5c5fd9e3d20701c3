import { formatError } from '../core/errors.ts';
import { compareNames } from './compare-names.ts';
import type { Entry } from './entry.ts';

/**
 * Fails with E_FORMAT unless the page's names all come after those of the page before it in the same folder. Returns the last name, to be passed with
 * the next page. Without this a crafted folder could name an entry twice by two pages.
 */
export function checkPageOrder(lastName: Uint8Array | undefined, page: readonly Entry[]): Uint8Array | undefined {
  const first = page[0];
  if (lastName !== undefined && first !== undefined && compareNames(lastName, first.name) >= 0) {
    throw formatError('tree', 'the pages of a folder are not in order of their names');
  }
  return page.at(-1)?.name ?? lastName;
}
