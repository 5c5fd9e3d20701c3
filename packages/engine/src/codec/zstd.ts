/**
 * Compression as the codec sees it. The runtime's own zstd, or the WASM build of the zstd-codec package where the runtime has none
 * (and in a browser); frames of one open with the other.
 */
import { createRequire } from 'node:module';
import zlib from 'node:zlib';
import { EdgeError } from '../core/errors.ts';
import { CHUNK_PLAIN_BYTES_MAX } from '../core/limits.ts';
import { readZstdFrame } from './zstd-frame.ts';

export interface Zstd {
  /** One frame that states its content size. Level 1 to 19. */
  compress(plain: Uint8Array, level: number): Uint8Array;
  /**
   * Decompresses exactly one frame that states a content of exactly `plainBytes`; E_INTEGRITY for anything else, before
   * more than `plainBytes` (and a constant) is allocated.
   */
  decompress(frame: Uint8Array, plainBytes: number): Uint8Array;
}

/** Levels up to 19 want at most this window for our chunk sizes; a frame that asks for more memory is not ours. */
const WINDOW_LOG_MAX = 23;

/** The runtime's zstd; E_FAILED where it has none (then `await loadZstd()` and pass its result on). */
export function nativeZstd(): Zstd {
  if (typeof zlib.zstdCompressSync !== 'function') {
    throw new EdgeError('E_FAILED', 'this Node.js has no zstd', { hint: 'Use Node.js 22.22 or newer.' });
  }
  return native;
}

/** The runtime's zstd, or the WASM one where it has none. */
export async function loadZstd(): Promise<Zstd> {
  return typeof zlib.zstdCompressSync === 'function' ? native : loadZstdCodec();
}

const { ZSTD_c_compressionLevel, ZSTD_d_windowLogMax } = zlib.constants;

const native: Zstd = {
  compress(plain, level) {
    return zlib.zstdCompressSync(plain, {
      pledgedSrcSize: plain.length,
      // One output buffer for all that is worth keeping, instead of a list of 16 KiB ones.
      chunkSize: Math.max(64, Math.min(plain.length + 64, CHUNK_PLAIN_BYTES_MAX)),
      params: { [ZSTD_c_compressionLevel]: level },
    });
  },
  decompress(frame, plainBytes) {
    checkFrame(frame, plainBytes);
    let plain: Uint8Array;
    try {
      plain = zlib.zstdDecompressSync(frame, {
        maxOutputLength: Math.max(1, plainBytes),
        // One byte more than is expected: with an exactly full buffer the binding would allocate another one to look for more.
        chunkSize: Math.max(64, plainBytes + 1),
        params: { [ZSTD_d_windowLogMax]: WINDOW_LOG_MAX },
      });
    } catch (cause) {
      throw damaged('does not decompress', cause);
    }
    if (plain.length !== plainBytes) throw damaged(`decompresses to ${plain.length} bytes instead of ${plainBytes}`);
    return plain;
  },
};

/** The WASM implementation, about half as fast. Resolves once it is instantiated; one instance per thread. */
export function loadZstdCodec(): Promise<Zstd> {
  codecLoading ??= instantiateCodec();
  return codecLoading;
}

let codecLoading: Promise<Zstd> | undefined;

/** What this file uses of the zstd-codec package, which has no types of its own. */
interface CodecSimple {
  compress(plain: Uint8Array, level: number): Uint8Array | null;
  decompress(frame: Uint8Array): Uint8Array | null;
}
interface CodecModule {
  ZstdCodec: { run(ready: (codec: { Simple: new () => CodecSimple }) => void): void };
}

async function instantiateCodec(): Promise<Zstd> {
  const require = createRequire(import.meta.url);
  const simple = await withoutProcessHandlers(
    () =>
      new Promise<CodecSimple>((resolve) => {
        const { ZstdCodec } = require('zstd-codec') as CodecModule;
        ZstdCodec.run((codec) => resolve(new codec.Simple()));
      }),
  );
  return {
    compress(plain, level) {
      if (plain.length > CHUNK_PLAIN_BYTES_MAX) {
        throw new EdgeError('E_LIMIT', `zstd-codec is used for at most ${CHUNK_PLAIN_BYTES_MAX} bytes`);
      }
      const frame = simple.compress(plain, level);
      if (frame === null) throw new EdgeError('E_FAILED', `zstd-codec could not compress ${plain.length} bytes`);
      return frame;
    },
    decompress(frame, plainBytes) {
      checkFrame(frame, plainBytes);
      // The package takes an empty content for a failure.
      if (plainBytes === 0) return new Uint8Array(0);
      const plain = simple.decompress(frame);
      if (plain === null || plain.length !== plainBytes) throw damaged('does not decompress');
      return plain;
    },
  };
}

/** The package's generated loader takes over the process's uncaughtException handling; a library must not. */
async function withoutProcessHandlers<T>(load: () => Promise<T>): Promise<T> {
  const events = ['uncaughtException', 'unhandledRejection'] as const;
  const before = events.map((event) => process.listeners(event as 'uncaughtException'));
  const loaded = await load();
  events.forEach((event, index) => {
    for (const listener of process.listeners(event as 'uncaughtException')) {
      if (!before[index]!.includes(listener)) process.removeListener(event, listener);
    }
  });
  return loaded;
}

/** E_INTEGRITY unless the bytes are exactly one frame that states exactly this content, and asks for no more memory than ours do. */
export function checkFrame(frame: Uint8Array, plainBytes: number): void {
  const found = readZstdFrame(frame);
  if (found === undefined || found.frameBytes !== frame.length) throw damaged('is not exactly one frame');
  if (found.contentBytes !== plainBytes)
    throw damaged(`states ${found.contentBytes ?? 'no'} bytes of content instead of ${plainBytes}`);
  if (found.windowBytes > Math.max(2 ** WINDOW_LOG_MAX, plainBytes))
    throw damaged(`asks for a window of ${found.windowBytes} bytes`);
}

function damaged(problem: string, cause?: unknown): EdgeError {
  return new EdgeError('E_INTEGRITY', `compressed content ${problem}`, cause === undefined ? {} : { cause });
}
