/** The address that a server of ours listens on, and why it cannot. Apart from the servers, which a command need not load to name an address. */
import { EdgeError, errnoOf } from '@edgestore/engine';

export function splitListen(listen: string): { host: string | undefined; port: number } {
  const at = listen.lastIndexOf(':');
  const host = listen.slice(0, at).replace(/^\[|\]$/g, '');
  const port = Number(listen.slice(at + 1));
  if (at < 0 || !Number.isInteger(port) || port < 0 || port > 65_535) {
    throw new EdgeError('E_CONFIG', `${JSON.stringify(listen)} is not a listen address such as "0.0.0.0:7420"`);
  }
  return { host: host === '' ? undefined : host, port };
}

export function listenError(error: Error, listen: string): EdgeError {
  const errno = errnoOf(error);
  if (errno === 'EADDRINUSE') {
    return new EdgeError('E_BUSY', `the address ${listen} is in use by another process`, {
      hint: 'Stop the other process, or set another port in agent.listen.',
      context: { listen },
    });
  }
  if (errno === 'EACCES') {
    return new EdgeError('E_DENIED', `no permission to listen on ${listen}`, {
      hint: 'Ports below 1024 need privileges; choose a higher one.',
      context: { listen },
    });
  }
  if (errno === 'EADDRNOTAVAIL' || errno === 'ENOTFOUND') {
    return new EdgeError('E_CONFIG', `${listen} is not an address of this machine`, { context: { listen } });
  }
  return new EdgeError('E_IO', `cannot listen on ${listen}: ${error.message}`, { cause: error });
}
