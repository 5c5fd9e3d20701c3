/** One capture by the agent itself: what changed is recorded, and owed to the targets. */
import { type CaptureReport, capture, unescapeName } from '@edgestore/engine';
import type { RootConfig } from '../config/config.ts';
import type { AgentHome } from '../home/agent-home.ts';
import { askColdStores } from '../home/ask-cold-stores.ts';
import { captureChunks } from '../home/capture-chunks.ts';
import { mendOwnTail } from '../operations/mend-own-tail.ts';
import { recordSettings } from '../operations/record-settings.ts';
import { PROGRAM } from '../program.ts';

export interface CaptureRootDeps {
  readonly home: AgentHome;
  readonly signal: AbortSignal;
  readonly warn: (warning: { readonly code: string; readonly message: string }) => void;
}

export function captureRoot(root: RootConfig, why: 'watch' | 'rescan', deps: CaptureRootDeps): Promise<CaptureReport> {
  const { home } = deps;
  const { engine, replicator } = home;
  return home.turns.run(`capture:${root.name}`, async () => {
    await mendOwnTail(home, deps);
    // Whoever recovers from this snapshot gets the roots as they were then. A reload that could not record them is made good here.
    await recordSettings(home);
    await askColdStores(home, deps);
    const report = await capture(
      {
        root: {
          name: root.name,
          path: unescapeName(root.path),
          exclude: root.exclude,
          oneFileSystem: root.oneFileSystem,
        },
        skipUnchanged: true,
        tags: { by: why },
        program: PROGRAM,
        ...(root.maxDelete === undefined ? {} : { maxDelete: root.maxDelete }),
      },
      {
        ...engine,
        chunks: captureChunks(engine.chunks, home.sources),
        placed: replicator.placed,
        warn: deps.warn,
        signal: deps.signal,
      },
    );
    if (report.snapshot !== undefined && !report.treeUnchanged) replicator.owe();
    return report;
  });
}
