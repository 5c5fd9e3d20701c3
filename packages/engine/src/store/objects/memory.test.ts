import { objectStoreContract } from '../../testing/object-store-contract.ts';
import { createMemoryObjectStore } from './memory.ts';

objectStoreContract('the memory driver', { open: async () => createMemoryObjectStore() });
