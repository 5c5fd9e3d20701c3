/**
 * zstd through the library that is part of the running Node.js program, with one context a direction kept for a thread's whole life. `node:zlib` makes and
 * drops a context for each call, which for small files costs three times as much as compressing them. Where the program does not
 * export the library (it does in the builds of nodejs.org), `node:zlib` is used; the frames are the same.
 */
import koffi from 'koffi';
import { checkFrame, nativeZstd, type Zstd } from '../codec/zstd.ts';
import { EdgeError } from '../core/errors.ts';

/** Versions whose calls and parameter numbers are known to be these: zstd promises them for all of 1.x since 1.4. */
const VERSION_MIN = 1_04_00;
const VERSION_MAX = 1_99_99;
const PARAMETER_LEVEL = 100;

interface ZstdLibrary {
  version(): number;
  createContext(): unknown;
  setParameter(context: unknown, parameter: number, value: number): number;
  compress(context: unknown, into: Uint8Array, capacity: number, from: Uint8Array, length: number): number;
  createDecoder(): unknown;
  decompress(decoder: unknown, into: Uint8Array, capacity: number, from: Uint8Array, length: number): number;
  isError(code: number): number;
}

/** The fastest zstd that there is here. One thread only: it has scratch memory. */
export function sharedZstd(): Zstd {
  const library = loadLibrary();
  const fallback = nativeZstd();
  if (library === undefined) return fallback;
  const context = library.createContext();
  let level = Number.NaN;
  let scratch = new Uint8Array(256 * 1024);
  let decoder: unknown;
  return {
    compress(plain, wanted) {
      if (wanted !== level) {
        check(library, library.setParameter(context, PARAMETER_LEVEL, wanted));
        level = wanted;
      }
      // The library's own bound for a frame of this content, rounded up.
      const capacity = plain.length + (plain.length >> 7) + 1024;
      if (scratch.length < capacity) scratch = new Uint8Array(capacity);
      const length = library.compress(context, scratch, capacity, plain, plain.length);
      check(library, length);
      return scratch.subarray(0, length);
    },
    decompress(frame, plainBytes) {
      checkFrame(frame, plainBytes);
      if (plainBytes === 0) return fallback.decompress(frame, 0);
      decoder ??= library.createDecoder();
      // The library writes no byte beyond what it is given room for.
      const plain = Buffer.allocUnsafeSlow(plainBytes);
      const length = library.decompress(decoder, plain, plainBytes, frame, frame.length);
      if (library.isError(length) !== 0 || length !== plainBytes) {
        throw new EdgeError('E_INTEGRITY', 'compressed content does not decompress');
      }
      return plain;
    },
  };
}

function loadLibrary(): ZstdLibrary | undefined {
  try {
    const program = koffi.load(null);
    const library = {
      version: program.func('unsigned int ZSTD_versionNumber()'),
      createContext: program.func('void *ZSTD_createCCtx()'),
      setParameter: program.func('size_t ZSTD_CCtx_setParameter(void *context, int parameter, int value)'),
      compress: program.func(
        'size_t ZSTD_compress2(void *context, void *into, size_t capacity, void *from, size_t length)',
      ),
      createDecoder: program.func('void *ZSTD_createDCtx()'),
      decompress: program.func(
        'size_t ZSTD_decompressDCtx(void *decoder, void *into, size_t capacity, void *from, size_t length)',
      ),
      isError: program.func('unsigned int ZSTD_isError(size_t code)'),
    } as unknown as ZstdLibrary;
    const version = library.version();
    return version >= VERSION_MIN && version <= VERSION_MAX ? library : undefined;
  } catch {
    // Not exported here: koffi found no such symbol, and there is nothing else to go wrong before the first call.
    return undefined;
  }
}

function check(library: ZstdLibrary, code: number): void {
  if (library.isError(code) !== 0) throw new EdgeError('E_FAILED', `zstd failed with code ${code}`);
}
