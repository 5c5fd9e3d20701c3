// Builds what is published, from the sources of all three packages: `node scripts/build.mjs` after a change of any of them. Types first (tsc builds
// the engine and the agent on the way), then the bundle, the licences of what is in it, and the manifest that lets a start load one command.
import { spawnSync } from 'node:child_process';
import { cpSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { bundle } from './bundle.mjs';
import { noticesOf } from './notices.mjs';

const root = dirname(dirname(fileURLToPath(import.meta.url)));
const done = spawnSync('tsc', ['-b'], { cwd: root, stdio: 'inherit' });
if (done.status !== 0 && process.env.EDGESTORE_BUILD_ANYWAY !== '1') process.exit(done.status ?? 1);

const modules = await bundle(root);
cpSync(join(root, '../engine/src/index/migrations'), join(root, 'dist/migrations'), { recursive: true });
writeFileSync(join(root, 'THIRD-PARTY-NOTICES.txt'), noticesOf(modules));

const { Config } = await import('@oclif/core/config');
const config = await Config.load({ root, ignoreManifest: true });
const { manifest } = config.plugins.get('@edgestore/cli');
const commands = Object.fromEntries(Object.entries(manifest.commands).sort(([a], [b]) => (a < b ? -1 : 1)));
if (Object.keys(commands).length === 0) throw new Error('no command was found; is dist/commands there?');
writeFileSync(join(root, 'oclif.manifest.json'), `${JSON.stringify({ ...manifest, commands }, null, 1)}\n`);
