/**
 * Where chunks of a whole bucket lie, in bounded memory: pages and lists with their place, since a recovery reads them; of file content only that it is there,
 * 8 bytes of each id.
 */
import { type ChunkId, type HexId, type PackName, toHex } from '../core/ids.ts';

export interface ChunkPlace {
  readonly pack: PackName;
  readonly offset: number;
  readonly keyId: number;
  readonly sealedBytes: number;
}

const SLOTS_MIN = 1024;

/** The first 8 bytes of ids: among ten million of them two are equal with a chance of one in 300,000, and a chunk is then thought to be there. */
export class IdPrefixSet {
  #slots = new BigUint64Array(SLOTS_MIN);
  #size = 0;

  get size(): number {
    return this.#size;
  }

  add(id: ChunkId): void {
    const prefix = prefixOf(id);
    const slot = this.#find(prefix);
    if (this.#slots[slot] === prefix) return;
    this.#slots[slot] = prefix;
    this.#size += 1;
    // At most two thirds are taken, and the table grows by half: 12 to 18 bytes an id, and 30 while it grows.
    if (this.#size * 3 > this.#slots.length * 2) this.#grow();
  }

  has(id: ChunkId): boolean {
    const prefix = prefixOf(id);
    return this.#slots[this.#find(prefix)] === prefix;
  }

  #find(prefix: bigint): number {
    const { length } = this.#slots;
    for (let slot = Number(prefix % BigInt(length)); ; slot = slot + 1 === length ? 0 : slot + 1) {
      const there = this.#slots[slot];
      if (there === 0n || there === prefix) return slot;
    }
  }

  #grow(): void {
    const old = this.#slots;
    this.#slots = new BigUint64Array(Math.ceil(old.length * 1.5));
    for (const prefix of old) if (prefix !== 0n) this.#slots[this.#find(prefix)] = prefix;
  }
}

/** Zero marks a free slot; an id that begins with eight zero bytes counts as its neighbour. */
function prefixOf(id: ChunkId): bigint {
  const prefix = new DataView(id.buffer, id.byteOffset, id.byteLength).getBigUint64(0);
  return prefix === 0n ? 1n : prefix;
}

export interface CompactPlaces {
  has(id: ChunkId): boolean;
  /** Of pages and lists only. */
  placeOf(id: ChunkId): ChunkPlace | undefined;
  addContent(id: ChunkId): void;
  addMeta(id: ChunkId, place: ChunkPlace): void;
  /** The frame in this pack did not open: `placeOf` names another one, where there is one. */
  passOver(id: ChunkId, pack: PackName): void;
}

export function createCompactPlaces(): CompactPlaces {
  const content = new IdPrefixSet();
  const meta = new Map<HexId, ChunkPlace>();
  /** Of the few that lie in several packs: incarnations of one agent, or several agents, stored the same. */
  const others = new Map<HexId, ChunkPlace[]>();
  return {
    has: (id) => content.has(id) || meta.has(toHex(id)),
    placeOf: (id) => meta.get(toHex(id)),
    addContent: (id) => content.add(id),
    addMeta: (id, place) => {
      const hex = toHex(id);
      if (!meta.has(hex)) meta.set(hex, place);
      else others.set(hex, [...(others.get(hex) ?? []), place]);
    },
    passOver: (id, pack) => {
      const hex = toHex(id);
      const [next, ...left] = others.get(hex) ?? [];
      if (next === undefined || meta.get(hex)?.pack !== pack) return;
      meta.set(hex, next);
      others.set(hex, left);
    },
  };
}
