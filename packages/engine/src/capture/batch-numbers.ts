/** Numbers for batches and open files on workers: never used twice in a process, since captures may share a pool. */
let last = 0;

export function nextBatchNumber(): number {
  return ++last;
}
