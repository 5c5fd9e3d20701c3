/** `doctor`: looks at this machine, the configuration, the data dir, stores and peers for what will cause trouble. Opens no vault and changes nothing. */
import { dataDirAt, isEdgeError } from '@edgestore/engine';
import { z } from 'zod';
import { type LoadedConfig, loadConfig } from '../config/load-config.ts';
import { type DoctorCheck, failed } from './doctor-checks/check.ts';
import { checkDataDir } from './doctor-checks/data-dir.ts';
import { checkClock, checkMachine } from './doctor-checks/machine.ts';
import { checkPeers } from './doctor-checks/peers.ts';
import { checkRoots } from './doctor-checks/roots.ts';
import { checkStore } from './doctor-checks/stores.ts';
import { defineSetup, type SetupContext } from './setup.ts';

export type { DoctorCheck };

export interface DoctorData {
  readonly checks: readonly DoctorCheck[];
  readonly problems: number;
}

export const doctor = defineSetup<object, DoctorData>({
  name: 'doctor',
  input: z.object({}),
  run: async (_input, context) => {
    const checks: DoctorCheck[] = await checkMachine();
    const loaded = checkConfig(context, checks);
    if (loaded !== undefined) {
      const dir = dataDirAt(loaded.dataDir, { packDir: loaded.config.agent.packDir });
      checks.push(await checkClock(dir, context.clock));
      const files = await checkDataDir(dir, context, checks);
      checks.push(...(await checkRoots(loaded.config.roots, context.signal)));
      for (const name of Object.keys(loaded.config.stores)) checks.push(await checkStore(name, loaded, context));
      if (files !== undefined) checks.push(...(await checkPeers(dir, files, loaded, context)));
    }
    const problems = checks.filter((check) => check.result === 'problem').length;
    return { data: { checks, problems }, exitCode: problems > 0 ? 20 : 0 };
  },
});

function checkConfig({ place }: SetupContext, checks: DoctorCheck[]): LoadedConfig | undefined {
  try {
    const loaded = loadConfig(place);
    checks.push({
      what: 'configuration',
      result: 'ok',
      message: loaded.files.length === 0 ? 'none; the defaults hold' : loaded.files.join(', '),
    });
    for (const { message } of loaded.warnings) checks.push({ what: 'configuration', result: 'warning', message });
    return loaded;
  } catch (error) {
    if (!isEdgeError(error, 'E_CONFIG')) throw error;
    checks.push(failed('configuration', error));
    return undefined;
  }
}
