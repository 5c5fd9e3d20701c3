/**
 * A look behind a statement: a few chunks of the adds that were just sent have to be there, or be stated as missing. The holder proves them by a hash with a
 * fresh nonce over the bytes on its medium. A holder that says yes to everything and stores nothing is met at once.
 */
import type { Form } from '../chain/forms.ts';
import { openClassed } from '../codec/opens-to-its-id.ts';
import { bytesEqual } from '../core/bytes.ts';
import type { RandomBytes } from '../core/clock.ts';
import { EdgeError } from '../core/errors.ts';
import { toHex } from '../core/ids.ts';
import { MIB } from '../core/limits.ts';
import type { OutgoingFrame, PeerLink } from '../core/ports/peer.ts';
import type { PeerAnswer } from './answers.ts';
import { isListed } from './listed.ts';
import type { ReplicateDeps } from './replicate-deps.ts';
import { supplyForms } from './supply-forms.ts';

/** Adds of which a chunk is looked at after a pass. */
export const AUDITED_ADDS = 4;
/** Larger ones are passed over: an audit is not to cost what it looks at. */
const SAMPLE_BYTES_MAX = MIB;

type AuditDeps = Pick<ReplicateDeps, 'chains' | 'self' | 'sources' | 'opener' | 'sodium' | 'random'>;

/** An add entry that was sent. */
export interface SentAdd {
  readonly seq: number;
  readonly shard: number;
}

/** E_INTEGRITY when the holder does not have a chunk that it states as whole. */
export async function auditSample(
  link: PeerLink,
  adds: readonly SentAdd[],
  answer: Pick<PeerAnswer, 'statement' | 'lists'>,
  deps: AuditDeps,
  signal?: AbortSignal,
): Promise<void> {
  const forms = sampleForms(adds, answer, deps);
  const frames: OutgoingFrame[] = [];
  for await (const frame of supplyForms(forms, deps, { count: 0, first: undefined }, signal)) frames.push(frame);
  if (frames.length === 0) return;
  const { sodium } = deps;
  const ids = frames.map(({ id }) => id);
  const nonce = deps.random(32);
  const sealed = await link.verify(nonce, ids, 'sealed', signal);
  const others = frames.filter(
    (frame, i) => sealed[i] !== undefined && !bytesEqual(sealed[i], sodium.crypto_generichash(32, frame.sealed, nonce)),
  );
  const missing = frames.find((_, i) => sealed[i] === undefined);
  if (missing !== undefined) throw doesNotHave(link, missing);
  if (others.length === 0) return;
  // Copies of other sealed bytes: of another form, or of another owner. A holder without the key cannot say what they open to.
  const second = deps.random(32);
  const plain = await link.verify(
    second,
    others.map(({ id }) => id),
    'plain',
    signal,
  );
  for (const [i, frame] of others.entries()) {
    const ours = openClassed(deps.opener, frame);
    if (plain[i] === undefined || ours === undefined) continue;
    if (!bytesEqual(plain[i], sodium.crypto_generichash(32, ours, second))) throw doesNotHave(link, frame);
  }
}

/** A form of each of the adds that the holder states to have, chosen by chance. */
function sampleForms(
  adds: readonly SentAdd[],
  { statement, lists }: Pick<PeerAnswer, 'statement' | 'lists'>,
  { chains, self, random }: AuditDeps,
): Form[] {
  return adds.flatMap(({ seq, shard }) => {
    const stated = statement.shards.find((one) => one.shard === shard);
    if (stated === undefined || seq > stated.applied) return [];
    const list = lists.get(shard);
    const forms = chains.forms(self.agentId, seq).filter((form) => {
      const isStated = seq <= stated.whole || (list !== undefined && !isListed(list, form.id));
      return isStated && form.sealedBytes <= SAMPLE_BYTES_MAX;
    });
    const form = forms[below(forms.length, random)];
    // What a later entry released is not owed any more.
    if (form === undefined || (chains.heldForms(self.agentId, [form.id])[0] ?? []).length === 0) return [];
    return [form];
  });
}

/** A number from 0 on that is less than the limit. */
export function below(limit: number, random: RandomBytes): number {
  const [a, b, c, d] = random(4) as unknown as [number, number, number, number];
  return Math.floor(((a * 2 ** 24 + b * 2 ** 16 + c * 2 ** 8 + d) / 2 ** 32) * limit);
}

function doesNotHave(link: PeerLink, { id }: OutgoingFrame): EdgeError {
  const chunk = toHex(id);
  return new EdgeError('E_INTEGRITY', `${link.label} states that it has chunk ${chunk.slice(0, 8)}, and cannot prove it`, {
    hint: 'Nothing that it says counts. Look at the store of that machine: edgestore scrub --all.',
    context: { chunk },
  });
}
