/** The configured stores in a status: whether each of them answers as the place that this vault was put into. */
import {
  EdgeError,
  formatTimeNs,
  isRelearned,
  type KeyValue,
  knownStoreId,
  noteIfRoom,
  toEdgeError,
} from '@edgestore/engine';
import type { OpenStore } from '../home/open-stores.ts';
import type { OperationContext } from './operation.ts';
import type { StatusStore } from './status-data.ts';

/** Whoever asks for a status waits no longer than this for a store that is away. */
const ASK_MS_MAX = 5000;

/** Kept in the index, so that a later status knows since when, also without asking. */
interface NotedAway {
  readonly sinceNs: string;
  /** When it was asked last. */
  readonly askedNs: string;
  readonly code: string;
  readonly message: string;
  readonly next: string;
}

/**
 * With `asks`, every store that has something of this agent is asked for its id. A folder is always asked, as the
 * folders
 * of roots are. Any other store is shown as it was found at last.
 */
export async function statusOfStores(asks: boolean, context: OperationContext): Promise<StatusStore[]> {
  const { home, signal } = context;
  const targets = home.replicator.status().filter(({ type }) => type === 'bucket');
  const stores = await Promise.all(
    [...home.stores.values()].map(async (store): Promise<StatusStore> => {
      const target = targets.find(({ name }) => name === store.name);
      const isAsked = hasOwn(store, target?.scope, context) && (asks || store.config.url.startsWith('file:'));
      const away = isAsked ? await askStore(store, context) : notedAway(store.name, home.engine.index.kv);
      // A pass that reached the store since then is the newer answer.
      const isOver = !isAsked && away !== undefined && (target?.askedNs ?? 0n) > BigInt(away.askedNs);
      return {
        name: store.name,
        url: store.config.url,
        scope: target?.scope ?? 'none',
        reachable: isAsked ? away === undefined : null,
        away:
          away === undefined || isOver
            ? null
            : { since: formatTimeNs(BigInt(away.sinceNs)), code: away.code, message: away.message, next: away.next },
      };
    }),
  );
  signal.throwIfAborted();
  return stores;
}

/** Something of this agent is there, as far as it is known: a store that is new has nothing to be away with. */
function hasOwn({ name }: OpenStore, scope: string | undefined, { home }: OperationContext): boolean {
  const { kv } = home.engine.index;
  return knownStoreId(kv, name) !== undefined || (scope !== undefined && !isRelearned(kv, name));
}

/** Answers why it is away; undefined when it answered as the store that it was. */
async function askStore(store: OpenStore, { home, signal }: OperationContext): Promise<NotedAway | undefined> {
  const { clock, index } = home.engine;
  const before = notedAway(store.name, index.kv);
  const late = AbortSignal.timeout(ASK_MS_MAX);
  try {
    await within(store.requireIdentity(AbortSignal.any([signal, late])), late);
    if (before !== undefined) noteIfRoom(() => index.kv.delete(keyOf(store.name)));
    return undefined;
  } catch (error) {
    signal.throwIfAborted();
    const known = late.aborted ? silent(store) : toEdgeError(error);
    const nowNs = String(clock.nowNs());
    const { code, message } = known;
    const noted: NotedAway = {
      sinceNs: before?.sinceNs ?? nowNs,
      askedNs: nowNs,
      code,
      message,
      next: adviceOn(store.name, known),
    };
    noteIfRoom(() => index.kv.set(keyOf(store.name), JSON.stringify(noted)));
    return noted;
  }
}

/** A system call on a mount that hangs does not end by a signal. */
async function within(work: Promise<void>, late: AbortSignal): Promise<void> {
  await Promise.race([
    work,
    new Promise<never>((_, reject) => late.addEventListener('abort', () => reject(late.reason), { once: true })),
  ]);
}

function silent({ objects }: OpenStore): EdgeError {
  return new EdgeError('E_TIMEOUT', `${objects.label} did not answer within ${ASK_MS_MAX / 1000} s`);
}

function adviceOn(name: string, error: EdgeError): string {
  if (error.code === 'E_NO_BUCKET')
    return 'known' in error.context
      ? `correct the url of [stores.${name}]; if the store is meant to be new, give it a new name in the configuration`
      : `mount it, or correct the url of [stores.${name}]; if it was emptied for good, give the store a new name in the configuration, and the next sync puts everything there`;
  return error.hint ?? 'check the network, the endpoint and the credentials; edgestore doctor looks closer';
}

const keyOf = (name: string): string => `store.away.${name}`;

function notedAway(name: string, kv: KeyValue): NotedAway | undefined {
  const text = kv.get(keyOf(name));
  return text === undefined ? undefined : (JSON.parse(text) as NotedAway);
}
