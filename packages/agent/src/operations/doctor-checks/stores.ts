import { openObjectStore } from '@edgestore/engine';
import type { LoadedConfig } from '../../config/load-config.ts';
import type { SetupContext } from '../setup.ts';
import { type DoctorCheck, failed } from './check.ts';

const STORE_MS_MAX = 20_000;

/** Asks for something that is not there: shows whether bucket and credentials are right, and costs one request. */
export async function checkStore(
  name: string,
  { config }: LoadedConfig,
  { clock, random, signal }: SetupContext,
): Promise<DoctorCheck> {
  const what = `store ${name}`;
  const store = config.stores[name]!;
  try {
    const objects = openObjectStore(
      {
        name,
        url: store.url,
        ...(store.endpoint === undefined ? {} : { endpoint: store.endpoint }),
        ...(store.region === undefined ? {} : { region: store.region }),
        ...(store.pathStyle === undefined ? {} : { pathStyle: store.pathStyle }),
      },
      { clock, random },
    );
    await objects.get('doctor-looks-for-nothing', {
      signal: AbortSignal.any([signal, AbortSignal.timeout(STORE_MS_MAX)]),
    });
    return { what, result: 'ok', message: objects.label };
  } catch (error) {
    signal.throwIfAborted();
    return failed(what, error);
  }
}
