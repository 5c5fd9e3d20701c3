/** The server as a process of its own: `node test/s3-server/main.ts --dir DIR [--port N]`; prints its endpoint when it answers. */
import { parseArgs } from 'node:util';
import { startS3Server } from './server.ts';
import { TEST_KEYS } from './test-keys.ts';

const { values } = parseArgs({ options: { dir: { type: 'string' }, port: { type: 'string', default: '0' } } });
if (values.dir === undefined || !/^\d+$/.test(values.port)) {
  process.stderr.write('usage: node test/s3-server/main.ts --dir DIR [--port N]\n');
  process.exit(2);
}
const server = await startS3Server({ dir: values.dir, port: Number(values.port), keys: Object.values(TEST_KEYS) });
process.stdout.write(`${server.endpoint}\n`);
for (const signal of ['SIGTERM', 'SIGINT'] as const) {
  process.once(signal, () => {
    server.close().then(
      () => process.exit(0),
      () => process.exit(1),
    );
  });
}
