import { NOT_RUN } from './not-run.mjs';

// Ends a test run with one plain line, and says every skipped test aloud with its reason.
export default class SummaryReporter {
  onTestRunEnd(modules, errors) {
    const count = { passed: 0, failed: 0, skipped: 0 };
    const skipped = [];
    for (const module of modules) {
      let ran = 0;
      for (const test of module.children.allTests()) {
        ran++;
        const { state, note } = test.result();
        if (state === 'passed') count.passed++;
        else if (state === 'skipped') {
          count.skipped++;
          skipped.push(`skipped: ${test.fullName}${note ? ` (${note})` : ''}`);
        } else count.failed++;
      }
      if (ran === 0 || module.state() === 'failed') count.failed += module.errors().length;
    }
    count.failed += errors.length;
    for (const { file, why } of NOT_RUN) {
      count.skipped++;
      skipped.push(`skipped: all of ${file} (${why})`);
    }
    if (skipped.length > 0) process.stdout.write(`\n${skipped.join('\n')}\n`);
    process.stdout.write(`\n${count.passed} passed, ${count.failed} failed, ${count.skipped} skipped\n`);
  }
}
