import { OrchestratorError } from '@nestor/core';
import type { INestApplication } from '@nestjs/common';

/** Somebody else listens on the port. */
class PortInUseError extends OrchestratorError {
  readonly code = 'PORT_IN_USE';

  constructor(
    readonly host: string,
    readonly port: number,
    cause: unknown,
  ) {
    super(
      `Port ${port} of ${host} is in use, perhaps by another orchestrator. Stop that, or choose a port: NESTOR_PORT=${port < 65_535 ? port + 1 : 0} npm start`,
      { cause },
    );
  }
}

/** The process may not listen there, or the machine has no such address. */
class AddressUnusableError extends OrchestratorError {
  readonly code = 'ADDRESS_UNUSABLE';

  constructor(
    readonly host: string,
    readonly port: number,
    cause: unknown,
  ) {
    super(`Cannot listen on port ${port} of ${host} (${String(cause)}). Correct NESTOR_HOST and NESTOR_PORT.`, {
      cause,
    });
  }
}

/**
 * Starts listening and gives the URL.
 *
 * @throws {PortInUseError} when somebody else has the port.
 * @throws {AddressUnusableError} when the address is not ours, or the port not allowed.
 */
export async function listen(app: INestApplication, host: string, port: number): Promise<string> {
  try {
    await app.listen(port, host);
  } catch (error) {
    const { code } = error as { code?: string };
    if (code === 'EADDRINUSE') throw new PortInUseError(host, port, error);
    if (code?.startsWith('E')) throw new AddressUnusableError(host, port, error);
    throw error;
  }
  return app.getUrl();
}
