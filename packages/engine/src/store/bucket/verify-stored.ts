/** A put counts only after the store shows what lies there. */
import { createHash } from 'node:crypto';
import { bytesEqual } from '../../core/bytes.ts';
import { EdgeError } from '../../core/errors.ts';
import type { ObjectStore } from '../../core/ports/object-store.ts';

/**
 * E_INTEGRITY unless exactly these bytes lie at the key, as the store's own MD5 or a read shows. The place is asked
 * for its identity between the put and the
 * look, and again before anything is said to be wrong: a place that went away meanwhile shows itself here, also one
 * that came back.
 */
export async function verifyStored(
  place: { readonly store: ObjectStore; readonly requireIdentity: (signal?: AbortSignal) => Promise<void> },
  key: string,
  body: Uint8Array,
  what: 'pack' | 'segment',
  signal: AbortSignal | undefined,
): Promise<void> {
  const { store, requireIdentity } = place;
  const options = signal === undefined ? {} : { signal };
  await requireIdentity(signal);
  const stat = await store.stat(key, options);
  const md5 = createHash('md5').update(body).digest('hex');
  if (stat?.size === body.length && stat.md5 === md5) return;
  // Without an MD5 (a folder, a bucket with a KMS key) only the bytes themselves can tell.
  if (stat?.size === body.length && stat.md5 === undefined) {
    const stored = await store.get(key, options);
    if (stored !== undefined && bytesEqual(stored, body)) return;
  }
  await requireIdentity(signal);
  const found = stat === undefined ? 'nothing' : `${stat.size} other bytes`;
  throw new EdgeError(
    'E_INTEGRITY',
    `${store.label}/${key}: ${found} lies there instead of the ${what} of ${body.length} bytes that was put`,
    {
      hint: 'The local copies are kept. Check the bucket: something else writes there, or it loses what it acknowledged.',
      context: { store: store.label, key },
    },
  );
}
