export type LogStore = never;
export const openLogStore = (): never => {
  throw new Error('stub');
};
