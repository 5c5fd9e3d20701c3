/** `recover`: on an empty machine, from the recovery sheet and whatever still has copies. */
import { rm, rmdir } from 'node:fs/promises';
import { join } from 'node:path';
import {
  abandonRecover,
  applyRecover,
  beginRecover,
  createSlot,
  type DataDir,
  dataDirAt,
  dataDirExists,
  deriveBaseKeys,
  EdgeError,
  type EntrySpool,
  errnoOf,
  escapeName,
  formatTimeNs,
  fromHex,
  isThere,
  loadSodium,
  lockDataDir,
  makeFolders,
  openEntrySpool,
  type ParsedRecoverySheet,
  parseRecoverySheet,
  planRecover,
  RECOVERY_SPOOL,
  type RecoverPlan,
  toEdgeError,
  toHex,
  writeFileDurably,
} from '@edgestore/engine';
import { z } from 'zod';
import { type LoadedConfig, loadConfig } from '../config/load-config.ts';
import { advertisedAddresses } from '../home/advertised-addresses.ts';
import { createTlsIdentity, type TlsIdentity } from '../http/tls-certificate.ts';
import { createKeyFile } from './key-file.ts';
import { writeRecoveredSettings } from './recovered-settings.ts';
import { openRecoverySources } from './recovery-sources.ts';
import { defineSetup, type SetupContext } from './setup.ts';

export interface RecoverData {
  readonly vault: string;
  readonly agent: { readonly id: string; readonly name: string; readonly site: string; readonly incarnation: number };
  readonly data_dir: string;
  /** The newest record that was found; null when there is none. */
  readonly head: {
    readonly incarnation: number;
    readonly seq: number;
    readonly hash: string;
    readonly time: string | null;
  } | null;
  /** Seconds since the newest snapshot. */
  readonly head_age_s: number | null;
  /** Sources that have the head. With one source and no memory a rollback cannot be found. */
  readonly vouched_by: readonly string[];
  /** Every end of the chain that was found. With more than one, snapshots of all of them are listed and can be restored. */
  readonly branches: readonly {
    readonly branch: string;
    readonly chosen: boolean;
    readonly incarnation: number;
    readonly seq: number;
    /** Up to which entry it is the same as the chosen one. */
    readonly base_seq: number;
    readonly name: string;
    readonly site: string;
    readonly snapshots: number;
    readonly newest_snapshot: string | null;
    readonly seen_at: readonly string[];
  }[];
  readonly roots: readonly { readonly name: string; readonly path: string }[];
  readonly snapshots: number;
  /** What some snapshot cannot be restored from these sources. */
  readonly gaps: readonly {
    readonly snapshot: string;
    readonly root: string;
    readonly files: number;
    readonly files_total: number;
    readonly bytes: number;
  }[];
  /** Files with settings of before that were written, since no configuration here says them. */
  readonly settings_files: readonly string[];
  readonly read_only: boolean;
  readonly dry_run: boolean;
}

const input = z.object({
  from: z.array(z.string()).min(1, '--from is missing'),
  recovery: z.string(),
  agent: z.string().optional(),
  branch: z
    .string()
    .regex(/^[0-9a-fA-F]{4,64}$/, 'at least 4 hex digits of the link of a branch’s end')
    .optional(),
  endpoint: z.string().optional(),
  region: z.string().optional(),
  readOnly: z.boolean().default(false),
  storedKey: z.boolean().default(true),
  dryRun: z.boolean().default(false),
});
type Input = z.output<typeof input>;

export const recover = defineSetup<Input, RecoverData>({
  name: 'recover',
  input: input as z.ZodType<Input>,
  run: async (given, context) => {
    const loaded = loadConfig(context.place);
    for (const warning of loaded.warnings) context.warn(warning);
    const dir = dataDirAt(loaded.dataDir, { packDir: loaded.config.agent.packDir });
    if (await dataDirExists(dir)) {
      throw new EdgeError('E_USAGE', `${dir.path} is a data dir already`, {
        hint: 'Recover into an empty folder: name another with --data-dir.',
      });
    }
    const sheet = parseRecoverySheet(given.recovery);
    const sodium = await loadSodium();
    const keys = deriveBaseKeys(sodium, sheet.vaultId ?? '', sheet.vaultKey);
    const tls = await createTlsIdentity('edgestore');
    const sources = await openRecoverySources(given, { sheet, keys, tls, loaded, sodium }, context);
    const planWith = (spool: EntrySpool | undefined): Promise<RecoverPlan> =>
      planRecover(
        {
          sources,
          vaultKey: sheet.vaultKey,
          adminSeed: sheet.adminSeed,
          agent: given.agent,
          branch: given.branch,
          isReadOnly: given.readOnly,
          spool,
        },
        { sodium, warn: context.warn, progress: context.progress },
        context.signal,
      );
    try {
      const settingsFiles: string[] = [];
      const plan = given.dryRun
        ? await planWith(undefined)
        : await write(planWith, { given, dir, loaded, sheet, tls, settingsFiles }, context);
      const data = { ...dataOf(plan, given, dir, siteOf(plan, loaded), context), settings_files: settingsFiles };
      return { data, exitCode: plan.gaps.length > 0 ? 3 : 0 };
    } finally {
      for (const source of sources) source.close();
    }
  },
});

interface Parts {
  readonly given: Input;
  readonly dir: DataDir;
  readonly loaded: LoadedConfig;
  readonly sheet: ParsedRecoverySheet;
  readonly tls: TlsIdentity;
  /** Filled with the files that were written. */
  readonly settingsFiles: string[];
}

/** Sources are read once: what they have of the chain waits in a file of the data dir that is being made. */
async function write(
  planWith: (spool: EntrySpool) => Promise<RecoverPlan>,
  { given, dir, loaded, sheet, tls, settingsFiles }: Parts,
  context: SetupContext,
): Promise<RecoverPlan> {
  const sodium = await loadSodium();
  const wasThere = isThere(dir.path);
  let isPlanned = false;
  await makeFolders(dir.path, 0o700).catch((error: unknown) => {
    throw toEdgeError(error, `making the data dir ${dir.path}`);
  });
  const lock = lockDataDir(dir.lockFile, {
    pid: process.pid,
    command: 'edgestore recover',
    since: formatTimeNs(context.clock.nowNs()),
  });
  try {
    await beginRecover(dir);
    const spool = await openEntrySpool(join(dir.path, RECOVERY_SPOOL));
    try {
      const plan = await planWith(spool).catch(async (error: unknown) => {
        await abandonRecover(dir);
        throw error;
      });
      isPlanned = true;
      await applyRecover(
        dir,
        {
          plan,
          life: given.readOnly
            ? { as: 'reader', agentId: toHex(context.random(16)), name: `${plan.agent.name}-reader`.slice(0, 64) }
            : { as: 'takeover' },
          site: siteOf(plan, loaded),
          tls: { keyPem: tls.keyPem, certPem: tls.certPem, spkiSha256: fromHex(tls.spkiSha256, 32) },
          addresses: advertisedAddresses(loaded.config.agent),
        },
        {
          sodium,
          random: context.random,
          beforeCommit: async () => {
            settingsFiles.push(...writeRecoveredSettings(plan, loaded, given.readOnly));
            if (given.storedKey) await storeKey(dir, plan, sheet, sodium, context);
          },
        },
      );
      return plan;
    } finally {
      await spool.discard();
    }
  } finally {
    lock.release();
    if (!isPlanned && !wasThere) await removeEmpty(dir);
  }
}

/** Nothing could be recovered: the folder that was made for it goes, unless something else is in it by now. */
async function removeEmpty(dir: DataDir): Promise<void> {
  try {
    await rm(dir.lockFile, { force: true });
    await rmdir(dir.path);
  } catch (error) {
    if (errnoOf(error) !== 'ENOTEMPTY') throw toEdgeError(error, `removing ${dir.path}`);
  }
}

async function storeKey(
  dir: DataDir,
  plan: RecoverPlan,
  sheet: ParsedRecoverySheet,
  sodium: Awaited<ReturnType<typeof loadSodium>>,
  { random }: SetupContext,
): Promise<void> {
  const secret = createKeyFile(dir.storedKeyFile, random);
  const label = 'stored in the data dir';
  const slot = await createSlot(
    sodium,
    { type: 'keyfile', secret },
    { vaultId: plan.descriptor.vaultId, label, scope: 'local', vaultKey: sheet.vaultKey },
    random,
  );
  await writeFileDurably(dir.slotFile(slot.slotId), slot.bytes);
}

function siteOf(plan: RecoverPlan, loaded: LoadedConfig): string {
  return loaded.config.agent.site ?? plan.agent.site;
}

function dataOf(
  plan: RecoverPlan,
  given: Input,
  dir: DataDir,
  site: string,
  { clock }: SetupContext,
): Omit<RecoverData, 'settings_files'> {
  const { agent, head, headTimeNs } = plan;
  return {
    vault: plan.descriptor.vaultId,
    agent: {
      id: agent.agentId,
      name: agent.name,
      site,
      incarnation: given.readOnly ? agent.incarnation : plan.nextIncarnation,
    },
    data_dir: dir.path,
    head:
      head === undefined
        ? null
        : {
            incarnation: head.incarnation,
            seq: head.seq,
            hash: head.link,
            time: headTimeNs === undefined ? null : formatTimeNs(headTimeNs),
          },
    head_age_s: headTimeNs === undefined ? null : Math.max(0, Number((clock.nowNs() - headTimeNs) / 1_000_000_000n)),
    vouched_by: plan.vouchedBy,
    branches: plan.branches.map(({ tip, base, isChosen, name, site: place, snapshots, seenAt }) => ({
      branch: tip.link,
      chosen: isChosen,
      incarnation: tip.incarnation,
      seq: tip.seq,
      base_seq: base?.seq ?? 0,
      name,
      site: place,
      snapshots: snapshots.length,
      newest_snapshot: snapshots.length === 0 ? null : formatTimeNs(snapshots.at(-1)!.timeNs),
      seen_at: seenAt,
    })),
    roots: (plan.settings?.roots ?? []).map(({ name, path }) => ({ name, path: escapeName(path) })),
    snapshots: plan.snapshots.length,
    gaps: plan.gaps.map((gap) => ({
      snapshot: gap.snapshot,
      root: gap.root,
      files: gap.files,
      files_total: gap.filesTotal,
      bytes: gap.bytes,
    })),
    read_only: given.readOnly,
    dry_run: given.dryRun,
  };
}
