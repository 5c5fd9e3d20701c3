/**
 * The id of a store's prefix: 16 random bytes beside the vault descriptor (docs/formats/bucket-layout.md). Another id, or none, under a name that was known
 * means that another store answers: an archive that is not mounted, an emptied bucket, a mistaken url. Then nothing that was noted of the store holds.
 */
import { createHash } from 'node:crypto';
import { bytesEqual } from '../../core/bytes.ts';
import type { RandomBytes } from '../../core/clock.ts';
import { EdgeError, formatError, isEdgeError } from '../../core/errors.ts';
import { failpoint } from '../../core/failpoint.ts';
import { fromHex, type HexId, toHex, type VaultId } from '../../core/ids.ts';
import type { KeyValue } from '../../core/ports/index.ts';
import type { ObjectStore } from '../../core/ports/object-store.ts';
import { storeIdKeyOf, vaultKeyOf } from './bucket-layout.ts';
import { type ProbeDeps, probeStore } from './probe-store.ts';

const MAGIC = Buffer.from('EDGESTID');
const VERSION = 1;
const ID_BYTES = 16;
const CHECK_BYTES = 8;
/** Magic 8 ‖ version u16 ‖ id 16 ‖ the first 8 bytes of the SHA-256 of all before. */
export const STORE_ID_OBJECT_BYTES = MAGIC.length + 2 + ID_BYTES + CHECK_BYTES;

export function encodeStoreId(storeId: HexId): Uint8Array {
  const covered = Buffer.concat([MAGIC, Buffer.from([VERSION, 0]), fromHex(storeId, ID_BYTES)]);
  return Buffer.concat([covered, checkOf(covered)]);
}

/** E_INTEGRITY for a damaged object, E_NEWER_FORMAT. */
export function decodeStoreId(bytes: Uint8Array): HexId {
  const object = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  if (object.length >= MAGIC.length + 2 && object.subarray(0, MAGIC.length).equals(MAGIC)) {
    const version = object.readUInt16LE(MAGIC.length);
    if (version !== VERSION) throw new EdgeError('E_NEWER_FORMAT', `store.id has version ${version}`);
  }
  const covered = object.subarray(0, STORE_ID_OBJECT_BYTES - CHECK_BYTES);
  if (
    object.length !== STORE_ID_OBJECT_BYTES ||
    !covered.subarray(0, MAGIC.length).equals(MAGIC) ||
    !bytesEqual(object.subarray(covered.length), checkOf(covered))
  ) {
    throw formatError('store.id', 'its length, its first bytes or its check do not fit');
  }
  return toHex(covered.subarray(MAGIC.length + 2));
}

function checkOf(covered: Uint8Array): Uint8Array {
  return createHash('sha256').update(covered).digest().subarray(0, CHECK_BYTES);
}

/** The id that lies there now; undefined where there is none. */
export async function readStoreId(
  store: ObjectStore,
  vault: VaultId,
  signal?: AbortSignal,
): Promise<HexId | undefined> {
  const bytes = await store.get(storeIdKeyOf(vault), signal === undefined ? {} : { signal });
  return bytes === undefined ? undefined : decodeStoreId(bytes);
}

/** Gives the prefix an id and answers the one that lies there afterwards: of two agents that begin together one wins. */
async function makeStoreId(
  store: ObjectStore,
  vault: VaultId,
  random: RandomBytes,
  signal?: AbortSignal,
): Promise<HexId> {
  const withSignal = signal === undefined ? {} : { signal };
  try {
    const bytes = encodeStoreId(toHex(random(ID_BYTES)));
    await store.put(storeIdKeyOf(vault), bytes, { ifAbsent: store.capabilities.conditionalPut, ...withSignal });
  } catch (error) {
    if (!isEdgeError(error, 'E_BUSY')) throw error;
  }
  failpoint('bucket.store-id-put');
  const made = await readStoreId(store, vault, signal);
  if (made !== undefined) return made;
  throw new EdgeError('E_INTEGRITY', `${store.label}: store.id was put and does not lie there`, {
    hint: 'Check the bucket: it loses what it acknowledged.',
    context: { store: store.label },
  });
}

/** The store that the index knows under a name. */
const knownKey = (name: string): string => `bucket.id.${name}`;

export function knownStoreId(kv: KeyValue, name: string): HexId | undefined {
  return kv.get(knownKey(name));
}

export interface StoreCheck {
  readonly name: string;
  readonly store: ObjectStore;
  readonly vault: VaultId;
}

/**
 * The id of the store that answers, when it is the one that the index knows or the index knows none. E_NO_BUCKET when another store answers, or one that holds
 * nothing of the vault. A prefix of this vault whose id alone is missing answers undefined.
 */
async function checkStore(
  { name, store, vault }: StoreCheck,
  kv: KeyValue,
  signal?: AbortSignal,
): Promise<HexId | undefined> {
  const known = knownStoreId(kv, name);
  const there = await readStoreId(store, vault, signal);
  if (known === undefined || there === known) return there;
  if (there !== undefined) throw otherStore(store.label, name, known, there);
  const descriptor = await store.stat(vaultKeyOf(vault), signal === undefined ? {} : { signal });
  if (descriptor === undefined) throw emptyStore(store.label, name);
  return undefined;
}

/**
 * Throws unless the store that answers now shows exactly this id. A disk can go at any moment, and leave an empty
 * folder: what was found or put since an
 * earlier look counts only after another one. A descriptor proves nothing here, because a job that was cut off may
 * have put it into the wrong place.
 */
export async function requireStoreId(
  { name, store, vault }: StoreCheck,
  storeId: HexId,
  signal?: AbortSignal,
): Promise<void> {
  const there = await readStoreId(store, vault, signal);
  if (there === storeId) return;
  if (there !== undefined) throw otherStore(store.label, name, storeId, there);
  const descriptor = await store.stat(vaultKeyOf(vault), signal === undefined ? {} : { signal });
  throw descriptor === undefined ? emptyStore(store.label, name) : noStoreId(store.label, name);
}

/**
 * Throws unless the place that answers is the one that this vault was put into: nothing there is called absent before. Where the index knows no id yet, the
 * vault's descriptor has to be there.
 */
export async function requireKnownStore(check: StoreCheck, kv: KeyValue, signal?: AbortSignal): Promise<void> {
  const known = knownStoreId(kv, check.name);
  if (known === undefined) {
    const { store, vault } = check;
    if ((await store.stat(vaultKeyOf(vault), signal === undefined ? {} : { signal })) !== undefined) return;
    throw new EdgeError('E_NO_BUCKET', `${store.label} has nothing of this vault`, {
      hint: 'Is it mounted, and is its url right? What lies there counts as out of reach, not as lost.',
      context: { store: store.label },
      retryable: true,
    });
  }
  await requireStoreId(check, known, signal);
}

export interface AdoptDeps extends ProbeDeps {
  readonly kv: KeyValue;
  /** Runs before another id is noted, so that what was noted of the old one is gone first. */
  readonly onOther: () => void;
  /** A listing, made now, shows what was put into the known store before. */
  readonly showsWhatWasPut: () => Promise<boolean>;
}

/**
 * For a writer: the id of the store, made where the prefix has none yet, and made again where it alone is gone. A
 * store that the index does not know is probed
 * first; only then the place itself is made, where the store can.
 */
export async function adoptStore(check: StoreCheck, deps: AdoptDeps, signal?: AbortSignal): Promise<HexId> {
  const { name, store, vault } = check;
  const found = await checkStore(check, deps.kv, signal);
  const known = knownStoreId(deps.kv, name);
  if (known === undefined) {
    await store.makePlace?.(signal === undefined ? {} : { signal });
    // Added, or forgotten with the index: it is tried out before anything there counts.
    await probeStore(store, vault, deps, signal);
  } else if (found === undefined && !(await deps.showsWhatWasPut())) throw noStoreId(store.label, name);
  const there = found ?? (await makeStoreId(store, vault, deps.random, signal));
  if (known !== there) {
    deps.onOther();
    deps.kv.set(knownKey(name), there);
  }
  return there;
}

function otherStore(label: string, name: string, known: HexId, there: HexId): EdgeError {
  return new EdgeError('E_NO_BUCKET', `${label} is not the store that [stores.${name}] was before`, {
    hint: `Nothing there counts. Mount the right one, correct the url of [stores.${name}], or use a new name for a new store.`,
    context: { store: name, known, there },
  });
}

function emptyStore(label: string, name: string): EdgeError {
  return new EdgeError('E_NO_BUCKET', `${label} held this vault before and holds nothing of it now`, {
    hint: `Mount it, or correct [stores.${name}]. For a store that is meant to be new, use a new name.`,
    context: { store: name },
  });
}

function noStoreId(label: string, name: string): EdgeError {
  return new EdgeError('E_NO_BUCKET', `${label} had an id before and shows none now: another place may answer`, {
    hint: `Nothing there counts. Mount it, or correct [stores.${name}]. Where store.id alone is gone, \`edgestore sync\` makes it again.`,
    context: { store: name },
  });
}
