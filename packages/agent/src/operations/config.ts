/** `config validate` and `config show`: the configuration as it would be used, without opening the data dir. */
import { z } from 'zod';
import { loadConfig } from '../config/load-config.ts';
import { showConfig } from '../config/show-config.ts';
import type { ConfigShowData, ConfigValidData } from './config-data.ts';
import { defineSetup } from './setup.ts';

const nothing = z.object({});

export const configValidate = defineSetup<object, ConfigValidData>({
  name: 'config.validate',
  input: nothing,
  run: async (_input, context) => {
    const loaded = loadConfig(context.place);
    for (const warning of loaded.warnings) context.warn(warning);
    return { data: { valid: true, files: loaded.files, data_dir: loaded.dataDir } };
  },
});

export const configShow = defineSetup<object, ConfigShowData>({
  name: 'config.show',
  input: nothing,
  run: async (_input, context) => {
    const loaded = loadConfig(context.place);
    for (const warning of loaded.warnings) context.warn(warning);
    return { data: { values: showConfig(loaded), files: loaded.files } };
  },
});
