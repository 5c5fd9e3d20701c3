/** Reads forms of rows from the bodies of chain files, for one look-up of many ids: those lie in few entries as a rule, and each is looked up once. */
import { FORM_BYTES, type Form, formAt } from '../chain/forms.ts';
import { EdgeError } from '../core/errors.ts';
import type { BodyBytes, BodyPlace, ChainTable } from '../ports/chain-index.ts';

export interface FormReader {
  /** Undefined where the body cannot be read now: damage there is found by whoever reads the chain. */
  formOf(chain: number, row: { readonly seq: number; readonly position: number }): Form | undefined;
}

interface Known {
  readonly place: BodyPlace | undefined;
  looks: number;
  body: Uint8Array | undefined;
}

/** After so many looks at one entry its whole body is read. */
const LOOKS_SINGLE_MAX = 8;
const BODIES_KEPT_MAX = 8;

/** What it knows of places is not looked up again: not to be kept beyond one synchronous call. */
export function formReader(deps: { readonly chains: ChainTable; readonly bodies: BodyBytes }): FormReader {
  const known = new Map<number, Map<number, Known>>();
  let bodiesKept = 0;

  const find = (chain: number, seq: number): Known => {
    let ofChain = known.get(chain);
    if (ofChain === undefined) {
      ofChain = new Map();
      known.set(chain, ofChain);
    }
    let found = ofChain.get(seq);
    if (found === undefined) {
      const entry = deps.chains.entry(chain, seq);
      found = { place: entry === undefined ? undefined : deps.chains.placeOf(entry), looks: 0, body: undefined };
      ofChain.set(seq, found);
    }
    return found;
  };
  const readWhole = (found: Known, place: BodyPlace): void => {
    if (bodiesKept >= BODIES_KEPT_MAX) {
      known.clear();
      bodiesKept = 0;
    }
    try {
      found.body = deps.bodies.read(place, 0, place.bytes);
      bodiesKept++;
    } catch (error) {
      // What is there of it is read form by form.
      if (!isDamage(error)) throw error;
    }
  };
  return {
    formOf: (chain, { seq, position }) => {
      const found = find(chain, seq);
      const { place } = found;
      const at = position * FORM_BYTES;
      if (place === undefined || at + FORM_BYTES > place.bytes) return undefined;
      if (++found.looks === LOOKS_SINGLE_MAX) readWhole(found, place);
      try {
        const bytes = found.body?.subarray(at, at + FORM_BYTES) ?? deps.bodies.read(place, at, FORM_BYTES);
        return formAt(bytes, 0);
      } catch (error) {
        if (isDamage(error)) return undefined;
        throw error;
      }
    },
  };
}

function isDamage(error: unknown): boolean {
  return error instanceof EdgeError && ['E_FORMAT', 'E_INTEGRITY'].includes(error.code);
}
