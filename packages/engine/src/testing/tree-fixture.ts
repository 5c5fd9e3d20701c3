/** Snapshots made by hand for tests: entries and sealed chunks without a capture, and sources that serve them, with faults. */
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { identify } from '../codec/identify.ts';
import { createOpener, type Opener } from '../codec/open.ts';
import { createSealer } from '../codec/seal.ts';
import { loadSodium } from '../codec/sodium.ts';
import { type ChunkId, ChunkKind, packClassOf, toHex } from '../core/ids.ts';
import type { SealedAddress, SealedSource, SourceKind } from '../core/ports/sealed-source.ts';
import type { VaultKeys } from '../keys/vault-keys.ts';
import type { SnapshotBody } from '../log/record-body.ts';
import { createPackBuilder } from '../pack/pack-builder.ts';
import { encodeContent } from '../tree/content-list.ts';
import { encodeFolder } from '../tree/encode-pages.ts';
import type { ContentRef, Entry, Hole, PosixMeta } from '../tree/entry.ts';
import { createSeededRandom } from './seeded-random.ts';
import { fixtureVaultKeys } from './vault-keys-fixture.ts';

export interface EntryOptions {
  readonly mode?: number;
  readonly mtimeNs?: bigint;
  readonly posix?: Partial<PosixMeta>;
  readonly hardLink?: Uint8Array;
  readonly holes?: readonly Hole[];
  /** Bytes a chunk. */
  readonly chunkBytes?: number;
}

export interface StoredChunk {
  readonly id: ChunkId;
  readonly kind: ChunkKind;
  readonly sealed: Uint8Array;
}

export interface TreeFixture {
  readonly keys: VaultKeys;
  readonly opener: Opener;
  /** By hex id. */
  readonly chunks: Map<string, StoredChunk>;
  put(kind: ChunkKind, plain: Uint8Array): ChunkId;
  /** `content`: the bytes outside the holes. */
  file(name: string | Uint8Array, content: Uint8Array | string, options?: EntryOptions): Entry;
  /** As `dir`, with pages whose plaintexts are given. */
  rawDir(name: string | Uint8Array, pages: readonly Uint8Array[], options?: EntryOptions): Entry;
  dir(name: string | Uint8Array, entries: readonly Entry[], options?: EntryOptions): Entry;
  symlink(name: string | Uint8Array, target: string | Uint8Array, options?: EntryOptions): Entry;
  body(root: Entry): SnapshotBody;
  /** A source in memory; `faults` may change what it says. */
  source(kind: SourceKind, label?: string, faults?: SourceFaults): SealedSource & { readonly asked: string[] };
  /** Real packs in a folder, of at most so many bytes each, as a local source whose packs workers read by themselves. */
  localSource(
    folder: string,
    options?: { readonly packBytes?: number },
  ): SealedSource & { readonly packs: Map<string, string> };
}

export interface SourceFaults {
  readonly has?: (hex: string) => boolean;
  readonly locate?: () => void;
  readonly fetch?: () => void;
  /** What is served in place of the sealed bytes; undefined: reported as damaged. */
  readonly serve?: (hex: string, sealed: Uint8Array) => Uint8Array | undefined;
}

export async function createTreeFixture(seed: string): Promise<TreeFixture> {
  const sodium = await loadSodium();
  const random = createSeededRandom(seed);
  const keys = fixtureVaultKeys(sodium, toHex(random(16)), random(32));
  const sealer = createSealer(sodium, keys, random);
  const opener = createOpener(sodium, keys);
  const chunks = new Map<string, StoredChunk>();
  const bytesOf = (text: string | Uint8Array) => (typeof text === 'string' ? Buffer.from(text) : text);

  const fixture: TreeFixture = {
    keys,
    opener,
    chunks,
    put(kind, plain) {
      const id = identify(keys, kind, plain);
      if (!chunks.has(toHex(id)))
        chunks.set(toHex(id), { id, kind, sealed: sealer.seal(kind, id, plain, 1, { compress: true }).bytes });
      return id;
    },
    file(name, text, options = {}) {
      const content = bytesOf(text);
      const chunkBytes = options.chunkBytes ?? 512 * 1024;
      const refs: ContentRef[] = [];
      for (let at = 0; at < content.length; at += chunkBytes) {
        const plain = content.subarray(at, Math.min(content.length, at + chunkBytes));
        refs.push({ id: fixture.put(ChunkKind.data, plain), length: plain.length });
      }
      const encoded = encodeContent(refs);
      const holeBytes = (options.holes ?? []).reduce((sum, hole) => sum + hole.length, 0);
      return {
        ...base(bytesOf(name), 'file', options, 0o644),
        size: content.length + holeBytes,
        content:
          encoded.form === 'inline'
            ? encoded
            : {
                form: 'lists',
                lists: encoded.lists.map((list) => ({ id: fixture.put(ChunkKind.list, list), length: list.length })),
              },
        ...(options.holes === undefined ? {} : { holes: options.holes }),
      };
    },
    rawDir(name, pages, options = {}) {
      return {
        ...base(bytesOf(name), 'dir', options, 0o755),
        pages: pages.map((page) => fixture.put(ChunkKind.tree, page)),
      };
    },
    dir(name, entries, options = {}) {
      const pages = encodeFolder(entries).map((page) => fixture.put(ChunkKind.tree, page));
      return { ...base(bytesOf(name), 'dir', options, 0o755), pages };
    },
    symlink(name, target, options = {}) {
      return { ...base(bytesOf(name), 'symlink', options, 0o777), target: bytesOf(target) };
    },
    body(root) {
      return {
        type: 'snapshot',
        root: 'test',
        path: Buffer.from('/srv/test'),
        timeNs: 0n,
        entry: root,
        stats: { files: 0, dirs: 0, others: 0, bytes: 0, newBytes: 0, storedBytes: 0 },
        failed: 0,
        program: 'test',
      };
    },
    source: (kind, label = kind, faults = {}) => memorySource(chunks, keys, kind, label, faults),
    localSource: (folder, options = {}) => packSource(chunks, keys, folder, options.packBytes ?? 4 * 1024 * 1024),
  };
  return fixture;
}

function base(name: Uint8Array, type: Entry['type'], options: EntryOptions, mode: number) {
  const { uid, gid } = { uid: process.getuid?.() ?? 0, gid: process.getgid?.() ?? 0 };
  return {
    name,
    type,
    mtimeNs: options.mtimeNs ?? 1_600_000_000_123_456_789n,
    posix: { mode: options.mode ?? mode, uid, gid, ...options.posix },
    ...(options.hardLink === undefined ? {} : { hardLink: options.hardLink }),
  };
}

function memorySource(
  chunks: ReadonlyMap<string, StoredChunk>,
  keys: VaultKeys,
  kind: SourceKind,
  label: string,
  faults: SourceFaults,
): SealedSource & { asked: string[] } {
  const asked: string[] = [];
  return {
    kind,
    label,
    asked,
    async locate(ids) {
      faults.locate?.();
      return ids.map((id): SealedAddress | undefined => {
        const chunk = chunks.get(toHex(id));
        if (chunk === undefined || faults.has?.(toHex(id)) === false) return undefined;
        return { id, keyId: keys.currentKeyId, sealedBytes: chunk.sealed.length };
      });
    },
    async *fetch(addresses) {
      for (const address of addresses) {
        faults.fetch?.();
        const hex = toHex(address.id);
        asked.push(hex);
        const sealed = chunks.get(hex)!.sealed;
        const served = faults.serve === undefined ? sealed : faults.serve(hex, sealed);
        if (served === undefined) yield { address, reason: 'damaged', detail: 'as the test wants it' };
        else yield { address, sealed: served };
      }
    },
  };
}

function packSource(
  chunks: ReadonlyMap<string, StoredChunk>,
  keys: VaultKeys,
  folder: string,
  packBytes: number,
): SealedSource & { packs: Map<string, string> } {
  mkdirSync(folder, { recursive: true });
  const addresses = new Map<string, SealedAddress>();
  const packs = new Map<string, string>();
  const bytesByPack = new Map<string, Buffer>();
  for (const packClass of ['data', 'meta'] as const) {
    const members = [...chunks.values()].filter((chunk) => packClassOf(chunk.kind) === packClass);
    while (members.length > 0) {
      const builder = createPackBuilder(keys.vaultId, packClass);
      const parts: Uint8Array[] = [builder.header()];
      while (members.length > 0 && builder.bytes < packBytes) {
        const { id, sealed } = members.shift()!;
        const chunk = {
          id,
          packClass,
          keyId: keys.currentKeyId,
          bytes: sealed,
          sha256: new Uint8Array(32),
          identified: true,
        };
        parts.push(builder.frameHeader(chunk), sealed);
        builder.add(chunk);
      }
      const { tail, name, frames } = builder.finish(0n);
      const bytes = Buffer.concat([...parts, tail]);
      const path = join(folder, `${name}.pack`);
      writeFileSync(path, bytes);
      packs.set(name, path);
      bytesByPack.set(name, bytes);
      for (const { id, keyId, offset, sealedBytes } of frames) {
        addresses.set(toHex(id), { id, keyId, sealedBytes, pack: name, offset });
      }
    }
  }
  return {
    kind: 'local',
    label: 'local',
    packs,
    packPath: (pack) => packs.get(pack) ?? join(folder, `${pack}.pack`),
    locate: async (ids) => ids.map((id) => addresses.get(toHex(id))),
    async *fetch(wanted) {
      for (const address of wanted) {
        const bytes = bytesByPack.get(address.pack!)!;
        yield { address, sealed: bytes.subarray(address.offset!, address.offset! + address.sealedBytes) };
      }
    },
  };
}
