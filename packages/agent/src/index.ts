/** The agent's public names, for the command line. */
export { type Agent, startAgent } from './agent.ts';
export type { Config } from './config/config.ts';
export { type LoadConfigInput, type LoadedConfig, loadConfig } from './config/load-config.ts';
export { configJsonSchema } from './config/schema.ts';
export { showConfig } from './config/show-config.ts';
export { type AgentHome, type OpenAgentHomeInput, openAgentHome } from './home/agent-home.ts';
export { unlockVault } from './home/unlock-vault.ts';
export { type ControlClient, noAgent, reachAgent } from './http/control-client.ts';
export { PROGRAM, VERSION } from './program.ts';
export { type RunAgentInput, runAgent } from './run-agent.ts';
