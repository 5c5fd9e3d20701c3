/**
 * The lists by which a holder asks its owner: forms that it wants, and parts of a hold checkpoint that it takes
 * (`docs/formats/peer-protocol.md`).
 */
import {
  ByteReader,
  ByteWriter,
  EdgeError,
  FORM_BYTES,
  FORMS_MAX,
  type Form,
  type FormsOfEntry,
  formatError,
  PARTS,
  readForm,
  type WantedParts,
  writeForm,
} from '@edgestore/engine';

const BITMAP_BYTES_MAX = FORMS_MAX / 8;
/** Entries in one page of wanted forms. */
export const WANTED_ENTRIES_MAX = 256;
/** Forms that one page names: all forms of the entries that a holder looks at for one. */
const NAMED_FORMS_MAX = 16 * FORMS_MAX;
export const WANTED_BYTES_MAX = 8 + WANTED_ENTRIES_MAX * (8 + 2 + BITMAP_BYTES_MAX) + NAMED_FORMS_MAX * FORM_BYTES;
/** Seq, seq and verdict, bitmap of 256 parts. */
export const WANTED_PARTS_BYTES = 8 + 8 + 1 + PARTS / 8;

/**
 * u32 count, then for each entry u64 seq ‖ u16 bytes of the bitmap ‖ bitmap: bit i of byte b stands for position 8b +
 * i. Then u32 count, and forms with their added seqs, 80 bytes each, of a holder that has parts of a checkpoint in the
 * place of bodies: they stand before the entries.
 */
export function encodeWanted(wanted: readonly FormsOfEntry[]): Uint8Array {
  const named = wanted.flatMap(({ seq, forms = [] }) => forms.map((form) => ({ seq, form })));
  const placed = wanted.filter(({ forms }) => forms === undefined);
  if (named.length > NAMED_FORMS_MAX) throw new EdgeError('E_LIMIT', `${named.length} wanted forms in one page`);
  const writer = new ByteWriter().u32(placed.length);
  for (const { seq, positions } of placed) {
    const bitmap = new Uint8Array(((positions.at(-1) ?? 0) >> 3) + 1);
    for (const position of positions) bitmap[position >> 3]! |= 1 << (position & 7);
    writer.u64(seq).u16(bitmap.length).bytes(bitmap);
  }
  const rows = Buffer.alloc(named.length * FORM_BYTES);
  for (const [i, { seq, form }] of named.entries()) writeForm(rows, i * FORM_BYTES, form, seq);
  writer.u32(named.length).bytes(rows);
  return writer.finish();
}

export function decodeWanted(bytes: Uint8Array): FormsOfEntry[] {
  const reader = new ByteReader(bytes, 'wanted forms');
  const count = reader.u32();
  if (count > WANTED_ENTRIES_MAX) throw formatError('wanted forms', `${count} entries`);
  const out: FormsOfEntry[] = [];
  for (let i = 0; i < count; i++) {
    const seq = reader.u64();
    if (seq <= (out.at(-1)?.seq ?? 0)) throw formatError('wanted forms', 'entries are not ascending');
    const length = reader.u16();
    if (length > BITMAP_BYTES_MAX) throw formatError('wanted forms', `a bitmap of ${length} bytes`);
    const positions: number[] = [];
    for (const [b, byte] of reader.bytes(length).entries())
      for (let bit = 0; bit < 8; bit++) if ((byte & (1 << bit)) !== 0) positions.push(8 * b + bit);
    out.push({ seq, positions });
  }
  const named = reader.u32();
  if (named > NAMED_FORMS_MAX) throw formatError('wanted forms', `${named} forms`);
  const byEntry: { seq: number; positions: number[]; forms: Form[] }[] = [];
  for (let i = 0; i < named; i++) {
    const { addedSeq: seq, ...form } = readForm(reader.bytes(FORM_BYTES), 0, 'wanted forms');
    const last = byEntry.at(-1);
    if (seq < (last?.seq ?? 1) || (out[0] !== undefined && seq >= out[0].seq))
      throw formatError('wanted forms', 'forms are not ascending');
    if (last?.seq === seq) last.forms.push(form);
    else byEntry.push({ seq, positions: [], forms: [form] });
  }
  reader.end();
  return [...byEntry, ...out];
}

const VERDICTS = [undefined, 'proved', 'false', 'taken'] as const;

/**
 * u64 seq of the checkpoint whose parts are taken, or 0 ‖ u64 seq of the newest one that was looked at, or 0 ‖ u8 1
 * proved, 2 false, 3 taken ‖ 32-byte bitmap: bit i of byte b stands for part 8b + i, which is lacking
 */
export function encodeWantedParts({ seq, lacking, judged }: WantedParts): Uint8Array {
  const bitmap = new Uint8Array(PARTS / 8);
  for (const byte of lacking) bitmap[byte >> 3]! |= 1 << (byte & 7);
  return new ByteWriter()
    .u64(seq)
    .u64(judged?.seq ?? 0)
    .u8(judged === undefined ? 0 : VERDICTS.indexOf(judged.verdict))
    .bytes(bitmap)
    .finish();
}

export function decodeWantedParts(bytes: Uint8Array): WantedParts {
  const reader = new ByteReader(bytes, 'wanted parts');
  const seq = reader.u64();
  const judgedSeq = reader.u64();
  const code = reader.u8();
  const bitmap = reader.bytes(PARTS / 8);
  reader.end();
  const verdict = VERDICTS[code];
  if (code >= VERDICTS.length || (verdict === undefined) !== (judgedSeq === 0))
    throw formatError('wanted parts', `the verdict ${code} of the checkpoint ${judgedSeq}`);
  const lacking = Array.from({ length: PARTS }, (_, byte) => byte).filter(
    (byte) => (bitmap[byte >> 3]! & (1 << (byte & 7))) !== 0,
  );
  return { seq, lacking, judged: verdict === undefined ? undefined : { seq: judgedSeq, verdict } };
}
