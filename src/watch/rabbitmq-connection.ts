// The connection to look at RabbitMQ through: one of our own by URL, or the user's.
import type { Connector, RabbitMqConnection } from './rabbitmq.ts'

/** What `watch({ rabbitmq: { connection } })` takes. */
export type GivenConnection =
  | string
  | RabbitMqConnection
  | (() => RabbitMqConnection | undefined | Promise<RabbitMqConnection | undefined>)

/** What the user's connection was told; undefined while it was told nothing. */
export interface Heard {
  blocked: boolean | undefined
}

export function connector(given: GivenConnection, heard: Heard): Connector {
  return typeof given === 'string' ? new OwnConnection(given) : new UsersConnection(given, heard)
}

/** Opened at the first look, and again after it was lost. It does not keep the process alive. */
class OwnConnection implements Connector {
  readonly answerWithinMs = 10_000
  private current: Promise<OpenConnection> | undefined

  constructor(private readonly url: string) {}

  connection(): Promise<RabbitMqConnection> {
    if (this.current === undefined) {
      const opening = this.open(() => this.drop(opening))
      this.current = opening
      opening.catch(() => this.drop(opening))
    }
    return this.current
  }

  private drop(which: Promise<OpenConnection>): void {
    if (this.current === which) this.current = undefined
  }

  private async open(gone: () => void): Promise<OpenConnection> {
    const { connect } = await loadAmqplib()
    const connection = (await connect(this.url, SOCKET_OPTIONS)) as unknown as OpenConnection
    connection.on('error', gone) // without a listener it would end the process
    connection.on('close', gone)
    const { stream, heartbeater } = connection.connection ?? {}
    for (const handle of [stream, heartbeater?.sendTimer, heartbeater?.recvTimer]) handle?.unref?.()
    return connection
  }

  giveUp(): void {
    const given = this.current
    this.current = undefined
    given?.then((connection) => connection.connection?.stream?.destroy?.()).catch(() => {})
  }

  async close(): Promise<void> {
    const given = this.current
    this.current = undefined
    try {
      await (await given)?.close()
    } catch {
      // Lost already: closed is what it was to be.
    }
  }
}

const SOCKET_OPTIONS = { timeout: 10_000, clientProperties: { connection_name: 'taskspan watch' } }

// As much of amqplib's connection as it shows; what keeps the process alive is optional everywhere.
interface OpenConnection extends RabbitMqConnection {
  close(): Promise<void>
  readonly connection?: {
    readonly stream?: { unref?(): unknown; destroy?(): unknown }
    readonly heartbeater?: { readonly sendTimer?: { unref?(): unknown }; readonly recvTimer?: { unref?(): unknown } }
  }
}

async function loadAmqplib(): Promise<typeof import('amqplib')> {
  try {
    return await import('amqplib')
  } catch (error) {
    throw new Error("The package 'amqplib' is needed to connect to RabbitMQ by URL: npm install amqplib", {
      cause: error,
    })
  }
}

/** The user's own: never closed by us, and heard for `blocked`, which a broker tells only to those who publish. */
class UsersConnection implements Connector {
  readonly answerWithinMs = undefined
  private listening: RabbitMqConnection | undefined

  constructor(
    private readonly given: Exclude<GivenConnection, string>,
    private readonly heard: Heard,
  ) {}

  async connection(): Promise<RabbitMqConnection> {
    const connection = typeof this.given === 'function' ? await this.given() : this.given
    if (connection === undefined) throw new Error('There is no connection to RabbitMQ now.')
    this.listen(connection)
    return connection
  }

  private listen(connection: RabbitMqConnection): void {
    if (this.listening === connection) return
    this.unlisten()
    this.listening = connection
    connection.on('blocked', this.blocked)
    connection.on('unblocked', this.unblocked)
    connection.on('close', this.unlisten)
  }

  private readonly unlisten = (): void => {
    this.listening?.off('blocked', this.blocked)
    this.listening?.off('unblocked', this.unblocked)
    this.listening?.off('close', this.unlisten)
    this.listening = undefined
    this.heard.blocked = undefined
  }

  private readonly blocked = (): void => {
    this.heard.blocked = true
  }

  private readonly unblocked = (): void => {
    this.heard.blocked = false
  }

  giveUp(): void {}

  async close(): Promise<void> {
    this.unlisten()
  }
}
