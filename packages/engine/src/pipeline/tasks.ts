/**
 * The tasks that pipeline workers know, one file each under `tasks/`. A worker loads a task's file when it is first asked for it, so that
 * a run which needs no compression does not pay for loading it.
 */
import type { Task } from './task.ts';
import type { EchoTask } from './tasks/echo.ts';
import type { ExtractCheckTask } from './tasks/extract-check.ts';
import type { ExtractCloseTask } from './tasks/extract-close.ts';
import type { ExtractFilesTask } from './tasks/extract-files.ts';
import type { ExtractFinishFoldersTask } from './tasks/extract-finish-folders.ts';
import type { ExtractFoldersTask } from './tasks/extract-folders.ts';
import type { ExtractLargeTask } from './tasks/extract-large.ts';
import type { ExtractListTask } from './tasks/extract-list.ts';
import type { ExtractOthersTask } from './tasks/extract-others.ts';
import type { ExtractVerifyTask } from './tasks/extract-verify.ts';
import type { FinishFoldersTask } from './tasks/finish-folders.ts';
import type { HashPlaintextsTask } from './tasks/hash-plaintexts.ts';
import type { IdentifyTask } from './tasks/identify.ts';
import type { IngestLargeTask } from './tasks/ingest-large.ts';
import type { IngestReadTask } from './tasks/ingest-read.ts';
import type { IngestSealTask } from './tasks/ingest-seal.ts';
import type { ListChunksTask } from './tasks/list-chunks.ts';
import type { RecallStateTask } from './tasks/recall-state.ts';
import type { ScanTask } from './tasks/scan.ts';
import type { ScrubPackTask } from './tasks/scrub-pack.ts';
import type { SealGroupTask } from './tasks/seal-group.ts';
import type { StateChunksTask } from './tasks/state-chunks.ts';

export type PipelineTasks = {
  echo: EchoTask;
  extractCheck: ExtractCheckTask;
  extractClose: ExtractCloseTask;
  extractFiles: ExtractFilesTask;
  extractFinishFolders: ExtractFinishFoldersTask;
  extractFolders: ExtractFoldersTask;
  extractLarge: ExtractLargeTask;
  extractList: ExtractListTask;
  extractOthers: ExtractOthersTask;
  extractVerify: ExtractVerifyTask;
  scrubPack: ScrubPackTask;
  finishFolders: FinishFoldersTask;
  hashPlaintexts: HashPlaintextsTask;
  identify: IdentifyTask;
  ingestLarge: IngestLargeTask;
  ingestRead: IngestReadTask;
  ingestSeal: IngestSealTask;
  listChunks: ListChunksTask;
  recallState: RecallStateTask;
  scan: ScanTask;
  sealGroup: SealGroupTask;
  stateChunks: StateChunksTask;
};

type TaskLoaders = {
  readonly [Name in keyof PipelineTasks]: () => Promise<{
    readonly task: Task<PipelineTasks[Name]['input'], PipelineTasks[Name]['output']>;
  }>;
};

export const TASK_LOADERS: TaskLoaders = {
  echo: () => import('./tasks/echo.ts'),
  extractCheck: () => import('./tasks/extract-check.ts'),
  extractClose: () => import('./tasks/extract-close.ts'),
  extractFiles: () => import('./tasks/extract-files.ts'),
  extractFinishFolders: () => import('./tasks/extract-finish-folders.ts'),
  extractFolders: () => import('./tasks/extract-folders.ts'),
  extractLarge: () => import('./tasks/extract-large.ts'),
  extractList: () => import('./tasks/extract-list.ts'),
  extractOthers: () => import('./tasks/extract-others.ts'),
  extractVerify: () => import('./tasks/extract-verify.ts'),
  scrubPack: () => import('./tasks/scrub-pack.ts'),
  finishFolders: () => import('./tasks/finish-folders.ts'),
  hashPlaintexts: () => import('./tasks/hash-plaintexts.ts'),
  identify: () => import('./tasks/identify.ts'),
  ingestLarge: () => import('./tasks/ingest-large.ts'),
  ingestRead: () => import('./tasks/ingest-read.ts'),
  ingestSeal: () => import('./tasks/ingest-seal.ts'),
  listChunks: () => import('./tasks/list-chunks.ts'),
  recallState: () => import('./tasks/recall-state.ts'),
  scan: () => import('./tasks/scan.ts'),
  sealGroup: () => import('./tasks/seal-group.ts'),
  stateChunks: () => import('./tasks/state-chunks.ts'),
};
