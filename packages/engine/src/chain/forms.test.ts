import fc from 'fast-check';
import { expect, test } from 'vitest';
import { makeForm } from '../testing/chain-writer.ts';
import {
  decodeAdd,
  decodeRelease,
  encodeAdd,
  encodeRelease,
  FORM_BYTES,
  FORMS_MAX,
  type Form,
  formAt,
  formsIn,
  RELEASE_IDS_MAX,
} from './forms.ts';

const code = (name: string) => expect.objectContaining({ code: name });
const thirtyTwo = fc.uint8Array({ minLength: 32, maxLength: 32 });
const arbitraryForm: fc.Arbitrary<Form> = fc.record({
  id: thirtyTwo,
  sealedSha256: thirtyTwo,
  sealedBytes: fc.integer({ min: 1, max: 5 * 1024 * 1024 }),
  keyId: fc.integer({ min: 1, max: 0xffff_ffff }),
  formClass: fc.constantFrom('data', 'meta', 'data-delta', 'meta-delta'),
});

test('adds read back, whole and by position', () => {
  fc.assert(
    fc.property(fc.array(arbitraryForm, { minLength: 1, maxLength: 6 }), (forms) => {
      const body = encodeAdd(forms);
      expect(body.length).toBe(forms.length * FORM_BYTES);
      expect(decodeAdd(body)).toEqual(forms);
      expect(formsIn(body)).toBe(forms.length);
      forms.forEach((form, i) => {
        expect(formAt(body, i)).toEqual(form);
      });
    }),
  );
});

test('releases read back', () => {
  fc.assert(
    fc.property(fc.array(thirtyTwo, { minLength: 1, maxLength: 6 }), (ids) => {
      expect(decodeRelease(encodeRelease(ids))).toEqual(ids);
    }),
  );
});

test('an add has 1 to 4096 forms, a release 1 to 65,536 ids', () => {
  const form = makeForm(1);
  expect(decodeAdd(encodeAdd(Array(FORMS_MAX).fill(form)))).toHaveLength(FORMS_MAX);
  expect(() => encodeAdd(Array(FORMS_MAX + 1).fill(form))).toThrow(code('E_LIMIT'));
  expect(() => encodeAdd([])).toThrow(code('E_LIMIT'));
  expect(decodeRelease(encodeRelease(Array(RELEASE_IDS_MAX).fill(form.id)))).toHaveLength(RELEASE_IDS_MAX);
  expect(() => encodeRelease(Array(RELEASE_IDS_MAX + 1).fill(form.id))).toThrow(code('E_LIMIT'));
  expect(() => encodeRelease([])).toThrow(code('E_LIMIT'));
});

test('forms that no writer makes are refused', () => {
  const body = encodeAdd([makeForm(1)]);
  const changes: [string, number, number[]][] = [
    ['no length', 64, [0, 0, 0, 0]],
    ['a length above a chunk’s', 64, [1, 0, 0x50, 0]],
    ['key 0', 68, [0, 0, 0, 0]],
    ['class 0', 72, [0]],
    ['class 5', 72, [5]],
    ['a reserved byte', 73, [1]],
    ['an added seq in an add', 74, [1]],
    ['an added seq in an add, high byte', 79, [1]],
  ];
  for (const [name, at, bytes] of changes) {
    const bad = new Uint8Array(body);
    bad.set(bytes, at);
    expect(() => decodeAdd(bad), name).toThrow(code('E_FORMAT'));
  }
  expect(() => decodeAdd(body.subarray(1))).toThrow(code('E_FORMAT'));
  expect(() => formAt(body, 1)).toThrow(code('E_FORMAT'));
  expect(() => decodeRelease(body)).toThrow(code('E_FORMAT'));
  expect(() => encodeAdd([makeForm(1, 1, { keyId: 0 })])).toThrow(code('E_FAILED'));
  expect(() => encodeAdd([makeForm(1, 1, { sealedBytes: 0 })])).toThrow(code('E_FAILED'));
});
