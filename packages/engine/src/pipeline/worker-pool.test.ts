import { spawnSync } from 'node:child_process';
import { Worker } from 'node:worker_threads';
import { afterEach, expect, test, vi } from 'vitest';
import type { WorkerPool } from '../core/ports/worker-pool.ts';
import type { PipelineTasks } from './tasks.ts';
import type { WorkerConfig } from './worker-config.ts';
import { createWorkerPool } from './worker-pool.ts';

const config = {
  keys: {},
  chunker: { min: 1024, avg: 4096, max: 16384 },
  level: 3,
} as unknown as WorkerConfig;
let pool: WorkerPool<PipelineTasks> | undefined;

function open(size: number): WorkerPool<PipelineTasks> {
  pool = createWorkerPool({ size, config });
  return pool;
}

afterEach(async () => {
  await pool?.close();
});

test('answers come back to their callers, and buffers move there and back', async () => {
  const pool = open(2);
  const bytes = new Uint8Array([1, 2, 3]);
  const answers = await Promise.all([
    pool.run('echo', { text: 'a', bytes }, { transfer: [bytes.buffer] }),
    ...Array.from({ length: 20 }, (_, i) => pool.run('echo', { text: String(i) })),
  ]);
  expect(bytes.length).toBe(0);
  expect(answers[0]!.bytes).toEqual(new Uint8Array([1, 2, 3]));
  expect(answers.slice(1).map((answer) => answer.text)).toEqual(Array.from({ length: 20 }, (_, i) => String(i)));
});

test('an error keeps its code, hint and context on its way back', async () => {
  await expect(open(1).run('echo', { text: 'too much', ending: 'fail' })).rejects.toMatchObject({
    code: 'E_LIMIT',
    message: 'too much',
    hint: 'This is a test.',
    context: { text: 'too much' },
  });
});

test('a worker that dies fails its tasks and is replaced once', async () => {
  const pool = open(1);
  const dying = pool.run('echo', { text: '', ending: 'die' });
  const behind = pool.run('echo', { text: 'b' });
  await expect(dying).rejects.toMatchObject({ code: 'E_FAILED', retryable: true });
  await expect(behind).rejects.toMatchObject({ code: 'E_FAILED' });
  expect((await pool.run('echo', { text: 'c' })).text).toBe('c');
  await expect(pool.run('echo', { text: '', ending: 'die' })).rejects.toMatchObject({ code: 'E_FAILED' });
  await expect(pool.run('echo', { text: 'd' })).rejects.toThrow(/died twice/);
});

test('an aborted signal keeps a task from starting', async () => {
  const pool = open(1);
  await expect(pool.run('echo', { text: 'x' }, { signal: AbortSignal.abort() })).rejects.toMatchObject({
    code: 'E_INTERRUPTED',
  });
});

test('a closing pool lets every worker end by itself, wherever it is: while it starts, loads, works or waits', async () => {
  const terminate = vi.spyOn(Worker.prototype, 'terminate');
  try {
    for (const wait of [0, 5, 20, 40, 80, 160]) {
      const pool = open(2);
      pool.announce('scan');
      const answers = Array.from({ length: 4 }, (_, i) => pool.run('echo', { text: String(i) }));
      const settled = Promise.allSettled(answers);
      await new Promise((resolve) => setTimeout(resolve, wait));
      await pool.close();
      for (const one of await settled)
        if (one.status === 'rejected') expect(one.reason).toMatchObject({ message: 'the worker pool was closed' });
    }
    expect(terminate).not.toHaveBeenCalled();
  } finally {
    terminate.mockRestore();
  }
});

test('a worker that hangs does not keep a closing pool: it is ended, and its task fails', async () => {
  pool = createWorkerPool({ size: 2, config, closeMsMax: 300 });
  const hang = new Int32Array(new SharedArrayBuffer(8));
  const hanging = expect(pool.run('echo', { text: '', hang })).rejects.toMatchObject({
    code: 'E_FAILED',
    message: 'the worker pool was closed',
  });
  await Atomics.waitAsync(hang, 0, 0).value;
  const terminate = vi.spyOn(Worker.prototype, 'terminate');
  await pool.close();
  await hanging;
  expect(terminate).toHaveBeenCalledOnce();
  terminate.mockRestore();
});

test('a pool that is closed while its workers still start ends them, and not the process', () => {
  const poolUrl = new URL('./worker-pool.ts', import.meta.url).href;
  // Stopped in the middle of loading its native module, a worker takes the process with it; when that is differs, hence the waits.
  const script = `
    const { createWorkerPool } = await import(${JSON.stringify(poolUrl)});
    const secret = () => new Uint8Array(32);
    const keys = { idKey: secret(), chunkerSecret: secret(), generations: [] };
    for (let wait = 60; wait < 300; wait += 6) {
      const pool = createWorkerPool({ size: 8, config: { keys, chunker: {}, level: 3 } });
      pool.announce('scan');
      await new Promise((resolve) => setTimeout(resolve, wait));
      await pool.close();
    }`;
  const done = spawnSync(process.execPath, ['--input-type=module', '-e', script], { encoding: 'utf8' });
  expect(done.stderr).not.toContain('FATAL');
  expect(done.status).toBe(0);
}, 60_000);
