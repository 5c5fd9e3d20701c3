// Prints the page of the fault table, or writes it: node scripts/make-faults-page.mjs [--write]
import { writeFileSync } from 'node:fs';
import { faultsPage } from '../test/faults/table/table.ts';

if (process.argv.includes('--write')) writeFileSync(new URL('../docs/faults.md', import.meta.url), faultsPage());
else process.stdout.write(faultsPage());
