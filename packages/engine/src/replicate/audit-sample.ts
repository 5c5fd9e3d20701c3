/**
 * A look behind a statement: a few chunks of the adds that were just sent have to be there, or be stated as missing. The holder proves them by a hash with a
 * fresh nonce over the bytes on its medium. A holder that says yes to everything and stores nothing is met at once.
 */
import type { Form } from '../chain/forms.ts';
import { isListed } from '../chain/unsatisfied-list.ts';
import { openClassed } from '../codec/opens-to-its-id.ts';
import { bytesEqual } from '../core/bytes.ts';
import type { RandomBytes } from '../core/clock.ts';
import { EdgeError } from '../core/errors.ts';
import { type ChunkId, toHex } from '../core/ids.ts';
import { MIB } from '../core/limits.ts';
import type { TargetId } from '../core/ports/index.ts';
import type { OutgoingFrame, PeerLink } from '../core/ports/peer.ts';
import type { SealedAddress } from '../core/ports/sealed-source.ts';
import type { AskedStatement } from './ask-statement.ts';
import type { ReplicateDeps } from './replicate-deps.ts';
import { supplyForms } from './supply-forms.ts';

/** Chunks that are looked at after a pass. */
const SAMPLES = 4;
/** Entries that are looked into for them. */
const TRIES_MAX = 64;
/** Larger ones are passed over: an audit is not to cost what it looks at. */
const SAMPLE_BYTES_MAX = MIB;

type AuditDeps = Pick<
  ReplicateDeps,
  'asked' | 'chains' | 'index' | 'opener' | 'random' | 'self' | 'sodium' | 'sources'
>;

/**
 * Looks at what was not audited yet of this store in its present epoch. Nothing of the answer may be noted when this throws. E_INTEGRITY when the holder
 * does not have a chunk that it states as whole.
 */
export async function auditSample(
  target: TargetId,
  link: PeerLink,
  asked: Pick<AskedStatement, 'statement' | 'lists'>,
  deps: AuditDeps,
  signal?: AbortSignal,
): Promise<void> {
  const { storeId, epoch, position } = asked.statement;
  const store = `${storeId}/${epoch}/`;
  const key = `audited.${target}`;
  const noted = deps.index.kv.get(key) ?? '';
  const afterSeq = noted.startsWith(store) ? Number(noted.slice(store.length)) : 0;
  const untilSeq = position?.seq ?? 0;
  if (untilSeq <= afterSeq) return;
  await auditForms(sampleForms(afterSeq, untilSeq, asked, deps), link, deps, signal);
  // What is not whole there yet is looked at when it is.
  const wholeSeq = Math.min(untilSeq, ...asked.statement.shards.map(({ whole }) => whole));
  if (wholeSeq > afterSeq) deps.index.kv.set(key, `${store}${wholeSeq}`);
}

async function auditForms(
  forms: readonly Form[],
  link: PeerLink,
  deps: AuditDeps,
  signal: AbortSignal | undefined,
): Promise<void> {
  const frames: OutgoingFrame[] = [];
  for await (const frame of supplyForms(forms, deps, { count: 0, first: undefined, unlisted: [] }, signal))
    frames.push(frame);
  if (frames.length === 0) return;
  const ids = frames.map(({ id }) => id);
  await deps.asked.during(ids, () => requireProof(frames, ids, link, deps, signal));
}

async function requireProof(
  frames: readonly OutgoingFrame[],
  ids: readonly ChunkId[],
  link: PeerLink,
  deps: AuditDeps,
  signal: AbortSignal | undefined,
): Promise<void> {
  const { sodium } = deps;
  const nonce = deps.random(32);
  const sealed = await link.verify(nonce, ids, 'sealed', signal);
  const others = frames.filter(
    (frame, i) => sealed[i] !== undefined && !bytesEqual(sealed[i], sodium.crypto_generichash(32, frame.sealed, nonce)),
  );
  const missing = frames.find((_, i) => sealed[i] === undefined);
  if (missing !== undefined) throw doesNotHave(link, missing);
  if (others.length === 0) return;
  // Copies of other sealed bytes: of another form, or of another owner.
  const second = deps.random(32);
  const plain = await link.verify(
    second,
    others.map(({ id }) => id),
    'plain',
    signal,
  );
  const unsaid: OutgoingFrame[] = [];
  for (const [i, frame] of others.entries()) {
    const said = plain[i];
    const ours = openClassed(deps.opener, frame);
    if (said === undefined || ours === undefined) unsaid.push(frame);
    else if (!bytesEqual(said, sodium.crypto_generichash(32, ours, second))) throw doesNotHave(link, frame);
  }
  await requireShown(unsaid, link, deps, signal);
}

/** A holder without the key cannot say what its copies open to: it shows them, and they are opened here. */
async function requireShown(
  frames: readonly OutgoingFrame[],
  link: PeerLink,
  { opener }: AuditDeps,
  signal: AbortSignal | undefined,
): Promise<void> {
  if (frames.length === 0) return;
  const found = await link.source.locate(
    frames.map(({ id }) => id),
    signal,
  );
  const unshown = new Map(frames.map((frame) => [toHex(frame.id), frame]));
  const addresses = found.filter((address): address is SealedAddress => address !== undefined);
  for await (const answer of link.source.fetch(addresses, signal)) {
    const hex = toHex(answer.address.id);
    const frame = unshown.get(hex);
    if (frame === undefined || !('sealed' in answer)) continue;
    const shown = { ...frame, keyId: answer.address.keyId, sealed: answer.sealed };
    if (openClassed(opener, shown) !== undefined) unshown.delete(hex);
  }
  for (const frame of unshown.values()) throw doesNotHave(link, frame);
}

/** Forms of adds after a seq that the holder states to have: of adds chosen by chance, one form of each. */
function sampleForms(
  afterSeq: number,
  untilSeq: number,
  { statement, lists }: Pick<AskedStatement, 'statement' | 'lists'>,
  { chains, self, random }: AuditDeps,
): Form[] {
  const samples: Form[] = [];
  for (const seq of seqsToTry(afterSeq, untilSeq, random)) {
    if (samples.length === SAMPLES) break;
    const all = chains.forms(self.agentId, seq);
    // An entry of another kind has no forms. What a later entry released is not owed any more.
    const holds = chains.holdsOf(
      self.agentId,
      all.map(({ id }) => id),
    );
    const forms = all.filter((form, i) => {
      const isStated = holds[i]!.some(({ shard, seq: addedSeq }) => {
        const stated = statement.shards.find((one) => one.shard === shard);
        if (stated === undefined || addedSeq > stated.applied) return false;
        const list = lists.get(shard);
        return addedSeq <= stated.whole || (list !== undefined && !isListed(list, form.id));
      });
      return isStated && form.sealedBytes <= SAMPLE_BYTES_MAX;
    });
    const form = forms[below(forms.length, random)];
    if (form !== undefined) samples.push(form);
  }
  return samples;
}

/** All of a short range in an order by chance; of a long one some. */
function* seqsToTry(afterSeq: number, untilSeq: number, random: RandomBytes): Generator<number> {
  const length = untilSeq - afterSeq;
  if (length > TRIES_MAX) {
    for (let i = 0; i < TRIES_MAX; i++) yield afterSeq + 1 + below(length, random);
    return;
  }
  const seqs = Array.from({ length }, (_, i) => afterSeq + 1 + i);
  while (seqs.length > 0) yield seqs.splice(below(seqs.length, random), 1)[0]!;
}

/** A number from 0 on that is less than the limit. */
function below(limit: number, random: RandomBytes): number {
  const [a, b, c, d] = random(4) as unknown as [number, number, number, number];
  return Math.floor(((a * 2 ** 24 + b * 2 ** 16 + c * 2 ** 8 + d) / 2 ** 32) * limit);
}

function doesNotHave(link: PeerLink, { id }: OutgoingFrame): EdgeError {
  const chunk = toHex(id);
  return new EdgeError(
    'E_INTEGRITY',
    `${link.label} states that it has chunk ${chunk.slice(0, 8)}, and cannot prove it`,
    {
      hint: 'Nothing that it says counts. Look at the store of that machine: edgestore scrub --all.',
      context: { chunk },
      // A holder that meets damage now states it the next time.
      retryable: true,
    },
  );
}
