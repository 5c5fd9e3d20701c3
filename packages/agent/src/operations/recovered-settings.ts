/** Writes the agent's earlier settings to `conf.d` after a recovery. */
import type { RecoverPlan } from '@edgestore/engine';
import { itemsOfSettings, writeConfigItem } from '../config/config-items.ts';
import type { LoadedConfig } from '../config/load-config.ts';

/**
 * Writes what the settings record says, but for what the configuration of this machine has already. Answers the files.
 */
export function writeRecoveredSettings(plan: RecoverPlan, loaded: LoadedConfig, isReader: boolean): string[] {
  if (plan.settings === undefined) return [];
  return itemsOfSettings(plan.settings.configJson).flatMap((item) => {
    // A reader reads what another agent stored: it watches and captures nothing.
    if (isReader && item.kind !== 'stores' && item.kind !== 'peers') return [];
    const there = loaded.raw[item.kind] as Record<string, unknown> | undefined;
    const isSaid = there !== undefined && Object.hasOwn(there, item.name);
    return isSaid ? [] : [writeConfigItem(loaded.dataDir, item, 'recover')];
  });
}
