/** `--max-delete N` or `P%`. */
import { EdgeError, type MaxDelete } from '@edgestore/engine';

export function parseMaxDelete(text: string): MaxDelete {
  if (/^\d{1,15}$/.test(text)) return { files: Number(text) };
  const percent = /^(\d{1,3}(?:\.\d+)?)%$/.exec(text)?.[1];
  if (percent === undefined || Number(percent) > 100) {
    throw new EdgeError(
      'E_USAGE',
      `--max-delete takes a number of files or a percentage such as 50%, not ${JSON.stringify(text)}`,
    );
  }
  return { percent: Number(percent) };
}
