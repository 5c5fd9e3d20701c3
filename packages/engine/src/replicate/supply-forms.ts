/** Sealed chunks of listed forms: from the own disk in ranges, then one by one from wherever else a copy is. */
import { createHash } from 'node:crypto';
import type { Form } from '../chain/forms.ts';
import { bytesEqual } from '../core/bytes.ts';
import { toEdgeError } from '../core/errors.ts';
import { type ChunkId, type HexId, type PackClass, toHex } from '../core/ids.ts';
import type { OutgoingFrame } from '../core/ports/peer.ts';
import type { SealedAddress, SealedSource } from '../core/ports/sealed-source.ts';
import type { ReplicateDeps } from './replicate-deps.ts';

/** What could not be supplied: how many, and one of them with what was said of it. */
export interface Unsupplied {
  count: number;
  first: { readonly id: HexId; readonly why: string } | undefined;
  /** Of these, chunks whose good copy here is of a form that the own chain does not list. */
  readonly unlisted: ChunkId[];
}

type SupplyDeps = Pick<ReplicateDeps, 'chains' | 'self' | 'sources'>;

/**
 * Each frame is exactly a form that the own chain lists for its id: another one would be refused. A chunk that no source has in such a form is counted in
 * `unsupplied` and left out, so that it does not hold up the others.
 */
export async function* supplyForms(
  forms: readonly Form[],
  deps: SupplyDeps,
  unsupplied: Unsupplied,
  signal?: AbortSignal,
): AsyncGenerator<OutgoingFrame> {
  const [first, ...others] = deps.sources;
  const waiting = new Map<HexId, Form>(forms.map((form) => [toHex(form.id), form]));
  const why = new Map<HexId, string>();
  const unlisted = new Set<HexId>();
  if (first !== undefined) {
    const found = await first.locate(
      forms.map((form) => form.id),
      signal,
    );
    const addresses = found.filter((address): address is SealedAddress => address !== undefined);
    for await (const answer of first.fetch(addresses, signal)) {
      const hex = toHex(answer.address.id);
      const form = waiting.get(hex);
      if (form === undefined) continue;
      const frame = 'sealed' in answer ? listedFrame(form, answer.sealed, deps) : undefined;
      if (frame === undefined) {
        if ('sealed' in answer) unlisted.add(hex);
        why.set(hex, 'sealed' in answer ? 'the copy here is of a form that is not listed' : answer.detail);
        continue;
      }
      waiting.delete(hex);
      yield frame;
    }
  }
  for (const [hex, form] of waiting) {
    const { frame, problem } = await readElsewhere(form, others, deps, signal);
    if (frame !== undefined) {
      yield frame;
      continue;
    }
    unsupplied.count++;
    if (unlisted.has(hex)) unsupplied.unlisted.push(form.id);
    unsupplied.first ??= { id: hex, why: problem ?? why.get(hex) ?? 'no store has it' };
  }
}

/** Asks one source after the other. A source that cannot be asked is told only when no other one helps. */
async function readElsewhere(
  form: Form,
  sources: readonly SealedSource[],
  deps: SupplyDeps,
  signal: AbortSignal | undefined,
): Promise<{ readonly frame?: OutgoingFrame; readonly problem?: string }> {
  let problem: string | undefined;
  for (const source of sources) {
    try {
      const [address] = await source.locate([form.id], signal);
      if (address === undefined) continue;
      let frame: OutgoingFrame | undefined;
      for await (const answer of source.fetch([address], signal)) {
        if ('sealed' in answer) frame ??= listedFrame(form, answer.sealed, deps);
        else problem ??= `${source.label}: ${answer.detail}`;
      }
      if (frame !== undefined) return { frame };
    } catch (error) {
      signal?.throwIfAborted();
      problem ??= `${source.label}: ${toEdgeError(error).message}`;
    }
  }
  return problem === undefined ? {} : { problem };
}

function listedFrame(form: Form, sealed: Uint8Array, { chains, self }: SupplyDeps): OutgoingFrame | undefined {
  const sha256 = createHash('sha256').update(sealed).digest();
  const listed = bytesEqual(sha256, form.sealedSha256)
    ? form
    : chains.heldForms(self.agentId, [form.id])[0]?.find((one) => bytesEqual(one.sealedSha256, sha256));
  if (listed === undefined) return undefined;
  return { id: listed.id, keyId: listed.keyId, packClass: packClassOfForm(listed), sealed };
}

export function packClassOfForm({ formClass }: Form): PackClass {
  return formClass === 'meta' || formClass === 'meta-delta' ? 'meta' : 'data';
}
