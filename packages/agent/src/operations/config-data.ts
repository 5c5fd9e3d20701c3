/** What the `config` commands answer. */
import type { ShownValue } from '../config/show-config.ts';

export interface ConfigValidData {
  readonly valid: true;
  /** The files that were read, the main one first. */
  readonly files: readonly string[];
  readonly data_dir: string;
}

export interface ConfigShowData {
  readonly values: readonly ShownValue[];
  readonly files: readonly string[];
}
