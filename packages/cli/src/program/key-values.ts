/** `K=V` arguments as an object. */
import { EdgeError } from '@edgestore/engine/errors';

export function keyValues(pairs: readonly string[], flag: string): Record<string, string> {
  const out: Record<string, string> = Object.create(null) as Record<string, string>;
  for (const pair of pairs) {
    const at = pair.indexOf('=');
    if (at < 1) throw new EdgeError('E_USAGE', `${flag} takes KEY=VALUE, not ${JSON.stringify(pair)}`);
    const key = pair.slice(0, at);
    if (key in out) throw new EdgeError('E_USAGE', `${flag} has ${JSON.stringify(key)} twice`);
    out[key] = pair.slice(at + 1);
  }
  return { ...out };
}
