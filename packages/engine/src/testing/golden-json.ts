/** Golden files: bytes that a format version fixed for ever, as JSON beside the code that must go on reading them. */
import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { dirname } from 'node:path';
import { fileURLToPath } from 'node:url';

/**
 * The committed golden value. With EDGESTORE_WRITE_GOLDEN=1 a file that is not there yet is made from `produce`; one that is there is
 * never overwritten, since what it holds exists in people's vaults.
 */
export function goldenJson<Value>(url: URL, produce: () => Value): Value {
  const file = fileURLToPath(url);
  if (!existsSync(file) && process.env.EDGESTORE_WRITE_GOLDEN === '1') {
    mkdirSync(dirname(file), { recursive: true });
    writeFileSync(file, `${JSON.stringify(produce(), undefined, 2)}\n`);
  }
  return JSON.parse(readFileSync(file, 'utf8')) as Value;
}
