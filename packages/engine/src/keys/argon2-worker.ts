/** The thread that stretches one passphrase and ends, so that its memory goes back to the system. */
import { parentPort, workerData } from 'node:worker_threads';
import { loadSodium } from '../codec/sodium.ts';
import type { Argon2Job } from './argon2-in-worker.ts';
import { derivePassphraseMaster } from './passphrase-master.ts';

const { passphrase, cost } = workerData as Argon2Job;
const sodium = await loadSodium();
parentPort!.postMessage(derivePassphraseMaster(sodium, passphrase, cost));
