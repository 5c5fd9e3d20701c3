// Writes surface.json, the checked-in list of commands, flags and arguments, from the built manifest. Run it after a change of the
// surface that is meant; the tests compare.
import { readFileSync, writeFileSync } from 'node:fs';
import { surfaceOf } from './surface.mjs';

const at = (name) => new URL(`../${name}`, import.meta.url);
const manifest = JSON.parse(readFileSync(at('oclif.manifest.json'), 'utf8'));
writeFileSync(at('surface.json'), `${JSON.stringify(surfaceOf(manifest), null, 2)}\n`);
