/** Every operation by its name. Each is loaded when it is first asked for: a start of the command line pays for one only. */
import { EdgeError } from '@edgestore/engine';
import type { Operation } from './operation.ts';
import type { Setup } from './setup.ts';

/** What comes is an `Operation` or a `Setup` with an input type of its own, which its schema checks. */
type Load = () => Promise<unknown>;

/** What needs the opened data dir; runs in the agent where one is running. */
const OPERATIONS: Readonly<Record<string, Load>> = {
  sync: async () => (await import('./sync.ts')).sync,
  restore: async () => (await import('./restore.ts')).restore,
  ls: async () => (await import('./ls.ts')).ls,
  find: async () => (await import('./find.ts')).find,
  cat: async () => (await import('./cat.ts')).cat,
  status: async () => (await import('./status.ts')).status,
  where: async () => (await import('./where.ts')).where,
  scrub: async () => (await import('./scrub.ts')).scrub,
  'snapshot.list': async () => (await import('./snapshot-list.ts')).snapshotList,
  'snapshot.show': async () => (await import('./snapshot-show.ts')).snapshotShow,
  'snapshot.diff': async () => (await import('./snapshot-diff.ts')).snapshotDiff,
  'snapshot.pin': async () => (await import('./snapshot-pin.ts')).snapshotPin,
  'snapshot.unpin': async () => (await import('./snapshot-pin.ts')).snapshotUnpin,
  'root.add': async () => (await import('./root-add.ts')).rootAdd,
  'root.list': async () => (await import('./root-list.ts')).rootList,
  'root.remove': async () => (await import('./root-remove.ts')).rootRemove,
  'root.check-ignore': async () => (await import('./root-check-ignore.ts')).rootCheckIgnore,
  'policy.show': async () => (await import('./policy.ts')).policyShow,
  'tier.status': async () => (await import('./tier-status.ts')).tierStatus,
  'tier.plan': async () => (await import('./tier-plan.ts')).tierPlan,
  'tier.run': async () => (await import('./tier-run.ts')).tierRun,
  'tier.recall': async () => (await import('./tier-recall.ts')).tierRecall,
  'key.list': async () => (await import('./key-list.ts')).keyList,
  'key.add': async () => (await import('./key-add.ts')).keyAdd,
  'key.remove': async () => (await import('./key-remove.ts')).keyRemove,
  'key.check-recovery': async () => (await import('./key-check-recovery.ts')).keyCheckRecovery,
  'peer.invite': async () => (await import('./peer-invite.ts')).peerInvite,
  'peer.list': async () => (await import('./peer-list.ts')).peerList,
  'peer.show': async () => (await import('./peer-list.ts')).peerShow,
  'agent.status': async () => (await import('./agent-status.ts')).agentStatus,
  'agent.reload': async () => (await import('./agent-reload.ts')).agentReload,
  'agent.stop': async () => (await import('./agent-stop.ts')).agentStop,
  'jobs.list': async () => (await import('./jobs-list.ts')).jobsList,
  'jobs.show': async () => (await import('./jobs-show.ts')).jobsShow,
};

/** What asks a running agent about itself; there is nothing to run without one. */
export const AGENT_OPERATIONS: ReadonlySet<string> = new Set([
  'agent.status',
  'agent.reload',
  'agent.stop',
  'jobs.list',
  'jobs.show',
]);

/** What works on a data dir that is not open, or not there yet. */
const SETUPS: Readonly<Record<string, Load>> = {
  init: async () => (await import('./init.ts')).init,
  recover: async () => (await import('./recover.ts')).recover,
  'config.validate': async () => (await import('./config.ts')).configValidate,
  'config.show': async () => (await import('./config.ts')).configShow,
  'peer.join': async () => (await import('./peer-join.ts')).peerJoin,
  'agent.install': async () => (await import('./agent-install.ts')).agentInstall,
  doctor: async () => (await import('./doctor.ts')).doctor,
};

export { parseInput } from './parse-input.ts';

export const OPERATION_NAMES: readonly string[] = Object.keys(OPERATIONS);

/** E_NOT_FOUND when there is no such operation. */
export async function loadOperation(name: string): Promise<Operation<unknown, unknown>> {
  const load = Object.hasOwn(OPERATIONS, name) ? OPERATIONS[name] : undefined;
  if (load === undefined) throw new EdgeError('E_NOT_FOUND', `there is no operation ${JSON.stringify(name)}`);
  return (await load()) as Operation<unknown, unknown>;
}

/** Undefined when the name is not one of a setup. */
export async function loadSetup(name: string): Promise<Setup<unknown, unknown> | undefined> {
  const load = Object.hasOwn(SETUPS, name) ? SETUPS[name] : undefined;
  return load === undefined ? undefined : ((await load()) as Setup<unknown, unknown>);
}
