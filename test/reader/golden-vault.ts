/** Where the committed vaults lie, and how their manifests are written down. */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import type { Manifest } from '../oracle/manifest.ts';

const GOLDEN = fileURLToPath(new URL('./golden/', import.meta.url));

/** A data dir of format version 1 without `index.sqlite`, `lock` and `run/`; its keys protect nothing. Programs must read it as long as they read version 1. */
export const GOLDEN_VAULT = join(GOLDEN, 'version-1');
/** What its newest snapshot holds, owners left out. */
export const GOLDEN_MANIFEST = join(GOLDEN, 'version-1.manifest.txt');

/** One line an entry: the path as JSON text (a character a byte), a tab, what it is. */
export function formatManifest(manifest: Manifest): string {
  const lines = [...manifest].map(([path, line]) => `${JSON.stringify(path)}\t${line}\n`);
  return lines.sort().join('');
}

export function readGoldenManifest(): Manifest {
  const lines = readFileSync(GOLDEN_MANIFEST, 'utf8').split('\n').slice(0, -1);
  return new Map(
    lines.map((line) => {
      const tab = line.indexOf('\t');
      return [JSON.parse(line.slice(0, tab)) as string, line.slice(tab + 1)];
    }),
  );
}
