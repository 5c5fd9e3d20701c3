/** Instantiates the compiled kernel. TypeScript knows WebAssembly only together with a browser's types, so what is used is stated here. */
import { KERNEL_WASM_BASE64 } from './kernel-wasm.ts';

export const PAGE_BYTES = 65_536;

export interface KernelMemory {
  readonly buffer: ArrayBuffer;
  grow(pages: number): number;
}

/** See kernel/fastcdc.ts; addresses are offsets in the memory. */
export interface Kernel {
  cutAll(
    input: number,
    length: number,
    isLast: number,
    min: number,
    avg: number,
    max: number,
    hard: bigint,
    easy: bigint,
    out: number,
    outMax: number,
  ): number;
}

interface WebAssemblyApi {
  Module: new (bytes: Uint8Array) => object;
  Instance: new (module: object, imports: { env: { memory: KernelMemory } }) => { readonly exports: unknown };
  Memory: new (size: { initial: number }) => KernelMemory;
}

let compiled: object | undefined;

/** A kernel with a memory of its own of so many pages; the module is compiled once per thread. */
export function instantiateKernel(pages: number): { readonly kernel: Kernel; readonly memory: KernelMemory } {
  const { WebAssembly } = globalThis as unknown as { WebAssembly: WebAssemblyApi };
  compiled ??= new WebAssembly.Module(Buffer.from(KERNEL_WASM_BASE64, 'base64'));
  const memory = new WebAssembly.Memory({ initial: pages });
  const { exports } = new WebAssembly.Instance(compiled, { env: { memory } });
  return { kernel: exports as Kernel, memory };
}
