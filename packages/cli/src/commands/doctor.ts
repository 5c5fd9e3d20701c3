import { EdgestoreCommand } from '../base-command.ts';
import { type DoctorData, renderDoctor } from '../render/doctor.ts';

export default class Doctor extends EdgestoreCommand {
  static override summary = 'Look at this machine and the configuration for what will cause trouble.';
  static override examples = ['<%= config.bin %> doctor'];

  override async run(): Promise<number> {
    await this.read(Doctor);
    return await this.perform<DoctorData>({ operation: 'doctor', input: {}, text: renderDoctor });
  }
}
