import { afterAll, describe, expect, it } from 'vitest';
import { gatewayForTests, ownServerForTests, type S3ForTests } from '../support/s3-for-tests.ts';
import { tempFolders } from '../support/temp-folder.ts';
import { askS3 } from './answers.ts';

const folder = tempFolders('answers');
const running: S3ForTests[] = [];
afterAll(async () => {
  for (const s3 of running) await s3.stop();
});

async function expectAnswers(s3: S3ForTests): Promise<void> {
  running.push(s3);
  const answers = await askS3(s3);
  expect(answers.length).toBeGreaterThan(35);
  expect(answers.map(({ question, got }) => `${question}: ${got}`)).toEqual(
    answers.map(({ question, expected }) => `${question}: ${expected}`),
  );
}

describe('questions to S3 have the same answers', () => {
  it('from the project’s own server', async () => {
    await expectAnswers(await ownServerForTests(folder()));
  });

  it('from the RADOS gateway', async ({ skip }) => {
    const gateway = await gatewayForTests(folder());
    if (gateway === undefined) return skip('the RADOS gateway is not installed');
    await expectAnswers(gateway);
  });
});
