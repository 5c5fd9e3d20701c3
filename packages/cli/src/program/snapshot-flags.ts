/** Which snapshot `latest` is, where there are several roots or agents. */
import * as Flags from '@oclif/core/flags';

export const snapshotFlags = {
  root: Flags.string({ helpValue: 'NAME', summary: 'Which root `latest` is of.' }),
  agent: Flags.string({ helpValue: 'NAME', summary: 'Whose snapshots (default: this agent).' }),
  at: Flags.string({ helpValue: 'TIME', summary: 'The newest snapshot not after this, e.g. 2026-11-20T12:00Z or 6h.' }),
};
