/** A sync of the quickstart, to two sites, with its live progress. */
import { runEdgestore } from '../support/edgestore-process.ts';
import { mib } from './report.ts';
import type { Site } from './site.ts';

interface SyncData {
  readonly roots: readonly {
    readonly root: string;
    readonly snapshot: string;
    readonly files: Readonly<Record<'new' | 'changed' | 'unchanged' | 'removed' | 'failed', number>>;
    readonly bytes: Readonly<Record<'scanned' | 'read' | 'new' | 'stored', number>>;
  }[];
}

export async function syncWithProgress(
  site: Site,
  folder: string,
  say: (line: string) => void,
): Promise<SyncData['roots'][number]> {
  const args = ['sync', folder, '--wait', 'sites=2', '--progress', 'json', '--json', '--config', site.configFile];
  let last = 0;
  const done = await runEdgestore(args, {
    env: site.env,
    onStderr: (text) => {
      if (performance.now() - last < 900) return;
      last = performance.now();
      const line = text.trim().split('\n').at(-1) ?? '';
      if (line.startsWith('{')) say(progressLine(JSON.parse(line) as Record<string, unknown>));
    },
  });
  if (done.exitCode !== 0)
    throw new Error(`sync ended with ${done.exitCode}:\n${done.stdout}\n${done.stderr}\n${site.log}`);
  const root = (JSON.parse(done.stdout) as { data: SyncData }).data.roots[0];
  if (root === undefined) throw new Error('sync reported no root');
  return root;
}

function progressLine(line: Record<string, unknown>): string {
  const { phase, type, files_done: files, bytes_done: bytes, bytes_total: total, bytes_per_s: rate } = line;
  const parts = [String(phase ?? type ?? '')];
  if (files !== undefined) parts.push(`${files} files`);
  if (typeof bytes === 'number') parts.push(`${mib(bytes)}${typeof total === 'number' ? ` of ${mib(total)}` : ''}`);
  if (typeof rate === 'number' && rate > 0) parts.push(`${mib(rate)}/s`);
  return parts.join(' ');
}
