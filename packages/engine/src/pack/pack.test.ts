import { createHash } from 'node:crypto';
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { concatBytes } from '../core/bytes.ts';
import { isEdgeError } from '../core/errors.ts';
import type { PackClass } from '../core/ids.ts';
import type { SealedChunk } from '../core/ports/chunk-store.ts';
import { createPackBuilder } from './pack-builder.ts';
import { decodePackTail, packTailBytes, readPackFooter, verifyPackName } from './pack-tail.ts';
import { scanFrames } from './scan-frames.ts';

const VAULT = '000102030405060708090a0b0c0d0e0f';

const sha256 = (bytes: Uint8Array) => new Uint8Array(createHash('sha256').update(bytes).digest());

const chunks = (packClass: PackClass) =>
  fc
    .uniqueArray(
      fc.record({
        id: fc.uint8Array({ minLength: 32, maxLength: 32 }),
        keyId: fc.nat(),
        bytes: fc.uint8Array({ minLength: 1, maxLength: 300 }),
      }),
      { minLength: 1, maxLength: 12, selector: ({ id }) => Buffer.from(id).toString('hex') },
    )
    .map((list) =>
      list.map((one): SealedChunk => ({ ...one, packClass, sha256: sha256(one.bytes), identified: true })),
    );

function build(list: readonly SealedChunk[]) {
  const builder = createPackBuilder(VAULT, list[0]!.packClass);
  const parts = [builder.header()];
  for (const chunk of list) {
    parts.push(builder.frameHeader(chunk), chunk.bytes);
    builder.add(chunk);
  }
  const finished = builder.finish(123n);
  return { ...finished, frames: [...finished.frames], file: concatBytes([...parts, finished.tail]) };
}

function readBack(file: Uint8Array) {
  const footer = readPackFooter(file.subarray(-64));
  return decodePackTail(file.subarray(footer.indexOffset), file.subarray(0, 64), file.length);
}

test('a pack reads back as what was added, at the offsets that were told', () => {
  fc.assert(
    fc.property(fc.constantFrom<PackClass>('data', 'meta').chain(chunks), (list) => {
      const pack = build(list);
      expect(pack.bytes).toBe(pack.file.length);
      expect(pack.tail.length).toBe(packTailBytes(list.length));
      const read = readBack(pack.file);
      expect(read).toMatchObject({ vault: VAULT, packClass: list[0]!.packClass, name: pack.name });
      expect(read.frames).toEqual(pack.frames.map((frame) => ({ ...frame, identified: false })));
      read.frames.forEach((frame, i) => {
        const sealed = pack.file.subarray(frame.offset, frame.offset + frame.sealedBytes);
        expect(new Uint8Array(sealed)).toEqual(list[i]!.bytes);
      });
      verifyPackName(pack.name, pack.file.subarray(0, 64), pack.tail);
    }),
  );
});

test('every single flipped bit outside the frames is an error, and changes the name', () => {
  const { file, name, tail } = build(fc.sample(chunks('data'), { seed: 7, numRuns: 1 })[0]!);
  const places = [...Array(64).keys(), ...Array.from({ length: tail.length }, (_, i) => file.length - tail.length + i)];
  for (const place of places) {
    for (let bit = 0; bit < 8; bit++) {
      const bad = new Uint8Array(file);
      bad[place]! ^= 1 << bit;
      const read = attempt(() => readBack(bad));
      if (!isEdgeError(read, 'E_FORMAT', 'E_NEWER_FORMAT')) expect((read as { name: string }).name).not.toBe(name);
      const tailBytes = bad.subarray(file.length - tail.length);
      expect(() => verifyPackName(name, bad.subarray(0, 64), tailBytes)).toThrow(/named after/);
    }
  }
});

test('a pack cut anywhere, or longer, is an E_FORMAT', () => {
  const { file } = build(fc.sample(chunks('meta'), { seed: 3, numRuns: 1 })[0]!);
  for (let length = 0; length < file.length; length++) {
    expect(attempt(() => readBack(file.subarray(0, length)))).toMatchObject({ code: 'E_FORMAT' });
  }
  expect(attempt(() => readBack(concatBytes([file, new Uint8Array(1)])))).toMatchObject({ code: 'E_FORMAT' });
});

test('arbitrary and mutated bytes give a value or an E_FORMAT, whatever they claim', () => {
  const valid = build(fc.sample(chunks('data'), { seed: 1, numRuns: 1 })[0]!).file;
  const mutated = fc
    .array(fc.tuple(fc.nat(valid.length - 1), fc.integer({ min: 0, max: 255 })), { minLength: 1, maxLength: 20 })
    .map((edits) => {
      const out = new Uint8Array(valid);
      for (const [at, value] of edits) out[at] = value;
      return out;
    });
  fc.assert(
    fc.property(fc.oneof(fc.uint8Array({ maxLength: 400 }), mutated), (bytes) => {
      for (const read of [() => readBack(bytes), () => [...scanFrames(bytes)]]) {
        const result = attempt(read);
        if (result instanceof Error) expect(isEdgeError(result, 'E_FORMAT', 'E_NEWER_FORMAT')).toBe(true);
      }
    }),
    { numRuns: 2000 },
  );
});

test('a later version and an unknown critical feature are a newer format; unknown optional features are not', () => {
  const { file } = build(fc.sample(chunks('data'), { seed: 1, numRuns: 1 })[0]!);
  const withByte = (at: number, value: number) => {
    const out = new Uint8Array(file);
    out[at] = value;
    return attempt(() => readBack(out));
  };
  expect(withByte(8, 2)).toMatchObject({ code: 'E_NEWER_FORMAT', exitCode: 16 });
  expect(withByte(12, 1)).toMatchObject({ code: 'E_NEWER_FORMAT' });
  expect(withByte(16, 1)).toMatchObject({ packClass: 'data' });
});

test('a pack without its tail gives the frames before the damage', () => {
  const list = fc.sample(chunks('data'), { seed: 11, numRuns: 1 })[0]!;
  const { file, frames, tail } = build(list);
  const all = drain(scanFrames(file));
  expect(all.frames.map(({ offset, sealedSha256 }) => ({ offset, sealedSha256 }))).toEqual(
    frames.map(({ offset, sealedSha256 }) => ({ offset, sealedSha256 })),
  );
  expect(all.end).toEqual({ offset: file.length - tail.length, rest: tail.length });
  const last = frames.at(-1)!;
  const cut = drain(scanFrames(file.subarray(0, last.offset + last.sealedBytes - 1)));
  expect(cut.frames.length).toBe(frames.length - 1);
});

test('the builder refuses what a pack may not hold', () => {
  const chunk = fc.sample(chunks('data'), { seed: 1, numRuns: 1 })[0]![0]!;
  const builder = createPackBuilder(VAULT, 'data');
  expect(() => builder.finish(123n)).toThrow(/without frames/);
  builder.add(chunk);
  expect(() => builder.add(chunk)).toThrow(/already/);
  expect(() => builder.add({ ...chunk, packClass: 'meta' })).toThrow(/meta chunk in a data pack/);
  expect(() => builder.add({ ...chunk, id: new Uint8Array(32), bytes: new Uint8Array(0) })).toThrow(/0 bytes/);
});

function attempt(run: () => unknown): unknown {
  try {
    return run();
  } catch (error) {
    return error;
  }
}

function drain(walk: ReturnType<typeof scanFrames>) {
  const frames = [];
  for (;;) {
    const next = walk.next();
    if (next.done === true) return { frames, end: next.value };
    frames.push(next.value);
  }
}
