/** The configuration of this run: the user's file and what commands wrote, checked and merged. */
import { resolve } from 'node:path';
import { EdgeError, type Warning } from '@edgestore/engine';
import { checkConfig, unusedKeys, unusedStores } from './check-config.ts';
import type { Config, Origins } from './config.ts';
import { joinFiles, mergeConfig } from './merge-config.ts';
import { type ConfigProblem, parseConfigFile } from './parse-config-file.ts';
import { defaultDataDir, findItemConfigs, findMainConfig } from './search-config.ts';

export interface LoadConfigInput {
  /** `--config`. */
  readonly flagPath?: string | undefined;
  /** `--data-dir`. */
  readonly dataDir?: string | undefined;
  readonly env: NodeJS.ProcessEnv;
}

export interface LoadedConfig {
  readonly config: Config;
  /** Resolved: flag, `EDGESTORE_DATA_DIR`, `agent.data_dir`, default. */
  readonly dataDir: string;
  readonly origins: Origins;
  /** The files that were read, main file first. */
  readonly files: readonly string[];
  /** Values as written, keyed `roots.<name>`, `agent.<key>` …, for `config show`. */
  readonly raw: Readonly<Record<string, unknown>>;
  readonly warnings: readonly Warning[];
}

/** E_CONFIG with every problem of every file in `context.problems` and one line each in the message. */
export function loadConfig(input: LoadConfigInput): LoadedConfig {
  const main = findMainConfig(input.flagPath, input.env);
  const parsedMain = main === undefined ? undefined : parseConfigFile(main);
  const dataDir = resolve(
    input.dataDir ??
      (input.env.EDGESTORE_DATA_DIR || undefined) ??
      dataDirOf(parsedMain?.raw) ??
      defaultDataDir(input.env),
  );
  const parsed = [...(parsedMain === undefined ? [] : [parsedMain]), ...findItemConfigs(dataDir).map(parseConfigFile)];
  const joined = joinFiles(parsed);
  const problems = [...parsed.flatMap((file) => file.problems), ...joined.problems];
  const values = parsed.flatMap((file) => (file.values === undefined ? [] : [file.values]));
  const config = mergeConfig(values);
  // References into a file that could not be read would only be false alarms.
  if (values.length === parsed.length) problems.push(...checkConfig(config, joined.origins));
  if (problems.length > 0) throw configError(problems);
  const warnings = [
    ...unusedKeys(config).map((key) => ({
      code: 'W_CONFIG_UNUSED',
      message: `${key} is accepted but has no effect in this version`,
    })),
    ...unusedStores(config).map((name) => ({
      code: 'W_STORE_UNUSED',
      message: `stores.${name} is configured and nothing is sent to it: add store = "${name}" to a [replication.<name>] that a root has, or cold = "${name}" to a [tiering.<name>]`,
    })),
  ];
  return {
    config,
    dataDir,
    origins: joined.origins,
    files: parsed.map((file) => file.file),
    raw: joined.raw,
    warnings,
  };
}

/** `file:line: key: problem; did you mean "x"?` */
export function formatProblem(problem: ConfigProblem): string {
  const where = `${problem.file}:${problem.line}`;
  const key = problem.key === '' ? '' : `${problem.key}: `;
  const nearest = problem.nearest === undefined ? '' : `; did you mean "${problem.nearest}"?`;
  return `${where}: ${key}${problem.problem}${nearest}`;
}

function configError(problems: readonly ConfigProblem[]): EdgeError {
  const lines = problems.map(formatProblem);
  const message =
    lines.length === 1 ? lines[0]! : `${lines.length} problems in the configuration:\n  ${lines.join('\n  ')}`;
  return new EdgeError('E_CONFIG', message, {
    hint: 'Correct the configuration; then look at it with `edgestore config validate`.',
    context: { problems },
  });
}

function dataDirOf(raw: Readonly<Record<string, unknown>> | undefined): string | undefined {
  const value = (raw?.agent as { data_dir?: unknown } | undefined)?.data_dir;
  return typeof value === 'string' && value.startsWith('/') ? value : undefined;
}
