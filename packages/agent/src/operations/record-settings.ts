/**
 * Keeps this agent's configuration (without secrets) in its log, so that `recover` can write it back: a record whenever it differs from the one before.
 */
import { numberRoots, unescapeName } from '@edgestore/engine';
import { configWithoutSecrets } from '../config/show-config.ts';
import type { AgentHome } from '../home/agent-home.ts';

/** Whoever changes the configuration, and each capture, asks for it; one at a time, so that nothing is recorded twice. */
export function recordSettings(home: AgentHome): Promise<void> {
  return home.turns.run('settings', () => recordIfChanged(home));
}

async function recordIfChanged(home: AgentHome): Promise<void> {
  const { engine, loaded, replicator } = home;
  const known = engine.index.log.settingsOf(engine.identity.agentId);
  const roots = loaded.config.roots.map(({ name, path }) => ({ name, path: unescapeName(path) }));
  const settings = {
    agentName: engine.identity.name,
    site: engine.identity.site,
    configJson: configWithoutSecrets(loaded),
    roots: numberRoots(roots, known?.roots ?? [], engine.index.log.highestShard(engine.identity.agentId)),
  };
  const isSame =
    known !== undefined &&
    known.agentName === settings.agentName &&
    known.site === settings.site &&
    known.configJson === settings.configJson;
  if (isSame) return;
  await engine.chain.append({ type: 'settings', settings });
  replicator.owe();
  home.running?.noteNewWork();
}
