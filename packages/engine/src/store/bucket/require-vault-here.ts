import { EdgeError } from '../../core/errors.ts';
import type { BucketVault } from './bucket-vault.ts';

/**
 * The identity of a bucket or folder: this vault's descriptor lies there. E_NO_BUCKET when it does not, so that a wrong url, or the empty folder that
 * a disk was mounted on, is never taken for the place with everything gone.
 */
export async function requireVaultHere(
  files: Pick<BucketVault, 'descriptor' | 'label'>,
  signal?: AbortSignal,
): Promise<void> {
  if ((await files.descriptor(signal)) !== undefined) return;
  throw new EdgeError('E_NO_BUCKET', `${files.label} has nothing of this vault`, {
    hint: 'Is it mounted, and is its url right? What lies there counts as out of reach, not as lost.',
    context: { store: files.label },
    retryable: true,
  });
}
