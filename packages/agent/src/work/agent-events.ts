/** What happens in the agent, for whoever listens on `/v1/events` and for the log. */
export interface AgentEvent {
  readonly type: string;
  readonly [key: string]: unknown;
}

export interface AgentEvents {
  emit(event: AgentEvent): void;
  /** Answers a function that ends it. A listener must not throw. */
  listen(listener: (event: AgentEvent & { readonly id: number; readonly time: string }) => void): () => void;
}

export function createAgentEvents(now: () => string): AgentEvents {
  const listeners = new Set<(event: AgentEvent & { readonly id: number; readonly time: string }) => void>();
  let id = 0;
  return {
    emit(event) {
      const stamped = { ...event, id: ++id, time: now() };
      for (const listener of listeners) listener(stamped);
    },
    listen(listener) {
      listeners.add(listener);
      return () => listeners.delete(listener);
    },
  };
}
