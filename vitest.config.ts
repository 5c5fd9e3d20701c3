import { defineConfig } from 'vitest/config';
import { NOT_RUN } from './scripts/not-run.mjs';

const notRun = NOT_RUN.map(({ file }) => file);

export default defineConfig({
  test: {
    include: ['packages/*/src/**/*.test.ts', 'test/**/*.test.ts'],
    exclude: ['**/node_modules/**', '**/dist/**', ...notRun],
    pool: 'forks',
    maxWorkers: 2,
    testTimeout: 120_000,
    hookTimeout: 180_000,
    reporters: ['default', './scripts/summary-reporter.mjs'],
  },
});
