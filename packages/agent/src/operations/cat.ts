/** `cat`: a file's bytes, or a tar archive of what is at a path, in pieces. */
import { catFile, catTar, EdgeError, openTreeReader, resolvePath } from '@edgestore/engine';
import { z } from 'zod';
import { openedOf } from './opened.ts';
import { defineOperation } from './operation.ts';
import { readerDeps } from './reader-deps.ts';
import { findSnapshot, type ResolvedSnapshot, resolved, snapshotFlags, splitSpec } from './snapshot-spec.ts';

export interface CatData extends ResolvedSnapshot {
  readonly bytes: number;
}

const input = z.object({ path: z.string(), ...snapshotFlags, tar: z.boolean().default(false) });

export const cat = defineOperation<z.output<typeof input>, CatData>({
  name: 'cat',
  input: input as z.ZodType<z.output<typeof input>>,
  mutates: false,
  run: async (given, context) => {
    const opened = openedOf(context);
    const spec = splitSpec(given.path);
    if (!given.path.includes(':') && !given.tar)
      throw new EdgeError('E_USAGE', 'cat takes SNAPSHOT:PATH', {
        hint: `Such as latest:${given.path}; a whole snapshot is had with --tar.`,
      });
    const row = findSnapshot({ ...given, snapshot: spec.snapshot }, opened);
    const reader = openTreeReader(readerDeps(opened, context));
    const { entry } = await resolvePath(reader, row.body.entry, spec.path, context.signal);
    let bytes = 0;
    for await (const piece of (given.tar ? catTar : catFile)(reader, entry, context.signal)) {
      bytes += piece.length;
      await context.emit({ b64: Buffer.from(piece.buffer, piece.byteOffset, piece.byteLength).toString('base64') });
    }
    return { data: { ...resolved(row), bytes } };
  },
});
