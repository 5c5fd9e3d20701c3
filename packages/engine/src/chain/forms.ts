/** Bodies of hold entries: forms that an add lists, ids that a release names (docs/formats/chain.md). */
import { asBuffer } from '../core/bytes.ts';
import { EdgeError, formatError } from '../core/errors.ts';
import type { ChunkId } from '../core/ids.ts';
import { CHUNK_SEALED_BYTES_MAX } from '../core/limits.ts';

/** id 32, SHA-256 32, length 4, key id 4, class 1, zero 1, added seq 6. */
export const FORM_BYTES = 80;
/** Forms in one add entry. */
export const FORMS_MAX = 4096;
/** Ids in one release entry. */
export const RELEASE_IDS_MAX = 65_536;
/** Forms that one held id may have listed. */
export const LISTED_FORMS_MAX = 4;
/**
 * Forms that a shard may have listed whose ids begin with the same 6 bytes, the key of the index. Among ten million ids
 * no four share them by chance; who chooses ids could have each look-up read all of them.
 */
export const KEY_FORMS_MAX = 16;
export const KEY_BYTES = 6;
const ID_BYTES = 32;
const CLASS_CODE = { data: 1, meta: 2, 'data-delta': 3, 'meta-delta': 4 } as const;
const CLASSES: readonly (FormClass | undefined)[] = [undefined, 'data', 'meta', 'data-delta', 'meta-delta'];

export type FormClass = 'data' | 'meta' | 'data-delta' | 'meta-delta';

/** One sealed form of a chunk that satisfies its hold. 80 bytes in an add. */
export interface Form {
  readonly id: ChunkId;
  /** SHA-256 of the sealed chunk, 32 bytes. */
  readonly sealedSha256: Uint8Array;
  readonly sealedBytes: number;
  readonly keyId: number;
  readonly formClass: FormClass;
}

/** A form as a hold checkpoint lists it: with the seq of the entry that made its id held. */
export interface HeldForm extends Form {
  readonly addedSeq: number;
}

/** A delta form needs other chunks to be opened, its bases. */
export function isDelta(form: Pick<Form, 'formClass'>): boolean {
  return form.formClass === 'data-delta' || form.formClass === 'meta-delta';
}

/** Whether both are the same sealed bytes of the same chunk. */
export function isSameForm(a: Form, b: Form): boolean {
  return asBuffer(a.id).equals(b.id) && asBuffer(a.sealedSha256).equals(b.sealedSha256);
}

/** The body of an add. E_LIMIT unless it has 1 to `FORMS_MAX` forms; E_FAILED for a form that no reader would take. */
export function encodeAdd(forms: readonly Form[]): Uint8Array {
  if (forms.length < 1 || forms.length > FORMS_MAX) throw new EdgeError('E_LIMIT', `an add of ${forms.length} forms`);
  const body = Buffer.alloc(forms.length * FORM_BYTES);
  for (const [i, form] of forms.entries()) writeForm(body, i * FORM_BYTES, form, 0);
  return body;
}

/** All forms of an add's body, each with memory of its own. E_FORMAT. */
export function decodeAdd(body: Uint8Array): Form[] {
  return Array.from({ length: formsIn(body) }, (_, i) => formAt(body, i));
}

/** How many forms an add's body has. E_FORMAT. */
export function formsIn(body: Uint8Array): number {
  const count = body.length / FORM_BYTES;
  if (!Number.isInteger(count) || count < 1 || count > FORMS_MAX) throw formatError('add', `${body.length} bytes`);
  return count;
}

/** The form at a position of an add's body. E_FORMAT. */
export function formAt(body: Uint8Array, position: number): Form {
  if (position < 0 || position >= formsIn(body)) throw formatError('add', `no form at position ${position}`);
  const { addedSeq, ...form } = readForm(body, position * FORM_BYTES, 'add');
  if (addedSeq !== 0) throw formatError('add', `the form at position ${position} has an added seq`);
  return form;
}

/** The body of a release. E_LIMIT unless it has 1 to `RELEASE_IDS_MAX` ids. */
export function encodeRelease(ids: readonly ChunkId[]): Uint8Array {
  if (ids.length < 1 || ids.length > RELEASE_IDS_MAX) throw new EdgeError('E_LIMIT', `a release of ${ids.length} ids`);
  const body = Buffer.alloc(ids.length * ID_BYTES);
  for (const [i, id] of ids.entries()) {
    if (id.length !== ID_BYTES) throw new EdgeError('E_FAILED', `a chunk id of ${id.length} bytes`);
    body.set(id, i * ID_BYTES);
  }
  return body;
}

/** The ids of a release's body. E_FORMAT. */
export function decodeRelease(body: Uint8Array): ChunkId[] {
  const count = body.length / ID_BYTES;
  if (!Number.isInteger(count) || count < 1 || count > RELEASE_IDS_MAX)
    throw formatError('release', `${body.length} bytes`);
  return Array.from({ length: count }, (_, i) => new Uint8Array(body.subarray(i * ID_BYTES, (i + 1) * ID_BYTES)));
}

/** Writes 80 bytes. An added seq of 0 is that of an add. */
export function writeForm(out: Buffer, at: number, form: Form, addedSeq: number): void {
  if (form.id.length !== ID_BYTES || form.sealedSha256.length !== ID_BYTES || form.keyId < 1)
    throw new EdgeError('E_FAILED', 'a form with an id, a digest or a key id that does not exist');
  if (form.sealedBytes < 1 || form.sealedBytes > CHUNK_SEALED_BYTES_MAX)
    throw new EdgeError('E_FAILED', `a form of ${form.sealedBytes} bytes`);
  out.set(form.id, at);
  out.set(form.sealedSha256, at + 32);
  out.writeUInt32LE(form.sealedBytes, at + 64);
  out.writeUInt32LE(form.keyId, at + 68);
  out.writeUInt8(CLASS_CODE[form.formClass], at + 72);
  out.writeUInt8(0, at + 73);
  out.writeUIntLE(addedSeq, at + 74, 6);
}

/** Reads 80 bytes. E_FORMAT names the structure. */
export function readForm(bytes: Uint8Array, at: number, what: string): HeldForm {
  const view = asBuffer(bytes);
  const sealedBytes = view.readUInt32LE(at + 64);
  const keyId = view.readUInt32LE(at + 68);
  const formClass = CLASSES[view[at + 72]!];
  if (sealedBytes < 1 || sealedBytes > CHUNK_SEALED_BYTES_MAX)
    throw formatError(what, `a form of ${sealedBytes} bytes`);
  if (keyId < 1) throw formatError(what, 'a form under key 0');
  if (formClass === undefined) throw formatError(what, `the class ${view[at + 72]} of a form`);
  if (view[at + 73] !== 0) throw formatError(what, 'the reserved byte of a form is not zero');
  return {
    id: new Uint8Array(view.subarray(at, at + 32)),
    sealedSha256: new Uint8Array(view.subarray(at + 32, at + 64)),
    sealedBytes,
    keyId,
    formClass,
    addedSeq: view.readUIntLE(at + 74, 6),
  };
}
