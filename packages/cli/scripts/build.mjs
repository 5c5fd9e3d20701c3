// Builds the command line: the TypeScript sources, and the manifest that lets a start load one command instead of all.
import { spawnSync } from 'node:child_process';
import { writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

const root = dirname(dirname(fileURLToPath(import.meta.url)));
const done = spawnSync('tsc', ['-b'], { cwd: root, stdio: 'inherit' });
if (done.status !== 0 && process.env.EDGESTORE_BUILD_ANYWAY !== '1') process.exit(done.status ?? 1);

const { Config } = await import('@oclif/core/config');
const config = await Config.load({ root, ignoreManifest: true });
const { manifest } = config.plugins.get('@edgestore/cli');
const commands = Object.fromEntries(Object.entries(manifest.commands).sort(([a], [b]) => (a < b ? -1 : 1)));
if (Object.keys(commands).length === 0) throw new Error('no command was found; is dist/commands there?');
writeFileSync(join(root, 'oclif.manifest.json'), `${JSON.stringify({ ...manifest, commands }, null, 1)}\n`);
