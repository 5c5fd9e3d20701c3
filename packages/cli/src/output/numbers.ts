/** `58,000`: counts as people read them. Sizes and durations are the engine's; exact figures are what `--json` is for. */
export function formatCount(count: number): string {
  return String(count).replace(/\B(?=(\d{3})+$)/g, ',');
}
