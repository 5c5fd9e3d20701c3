/** What this program calls itself to peers and in records. */
import { createRequire } from 'node:module';

const { version } = createRequire(import.meta.url)('../package.json') as { version: string };

export const VERSION = version;
export const PROGRAM = `edgestore ${version}`;
