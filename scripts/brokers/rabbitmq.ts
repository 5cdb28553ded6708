// Starts a private RabbitMQ with its own Erlang port mapper, cookie, data and ports on 127.0.0.1.
import { randomBytes } from 'node:crypto'
import { existsSync, mkdtempSync, readdirSync, realpathSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { type Broker, startBroker } from './broker.ts'
import { program, type Requirement } from './install.ts'
import { runOwned } from './owned-process.ts'
import { answers, freePort } from './ports.ts'
import { MANAGEMENT_PORT_DISTANCE, managementUrlOf, nodeNameAt } from './vhosts.ts'

const INSTALLED = '/usr/lib/rabbitmq/lib'
const AMQP_GREETING = 'AMQP\x00\x00\x09\x01'
const CONNECTION_START = '\x01\x00\x00'

const requirement: Requirement = { find: findServer, debianPackage: 'rabbitmq-server', variable: 'AMQP_URL' }

export interface RabbitMq extends Broker {
  /** The management HTTP API, credentials included. */
  readonly managementUrl: string
}

export interface RabbitMqOptions {
  /** `vm_memory_high_watermark.absolute`: with `1MB` it is in alarm from the beginning, and takes no messages. */
  memoryLimit?: string
}

export async function startRabbitMq({ memoryLimit }: RabbitMqOptions = {}): Promise<RabbitMq> {
  const server = await program(requirement)
  const amqp = await freePort(MANAGEMENT_PORT_DISTANCE, 1, 2)
  const ports = { amqp, management: amqp + MANAGEMENT_PORT_DISTANCE, distribution: amqp + 1, mapper: amqp + 2 }
  const node = `taskspan-${randomBytes(4).toString('hex')}@localhost`
  const directory = realpathSync(mkdtempSync(join(tmpdir(), 'taskspan-rabbitmq-')))
  const files = writeSettings(directory, ports, memoryLimit)
  const url = `amqp://guest:guest@127.0.0.1:${ports.amqp}`
  const managementUrl = managementUrlOf(url)
  const env = {
    PATH: process.env.PATH,
    LANG: 'C.UTF-8',
    HOME: directory, // where Erlang looks for its cookie
    ERL_EPMD_PORT: String(ports.mapper),
    ERL_EPMD_ADDRESS: '127.0.0.1',
    RABBITMQ_NODENAME: node,
    RABBITMQ_DIST_PORT: String(ports.distribution),
    RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS: '-kernel inet_dist_use_interface {127,0,0,1}',
    RABBITMQ_MNESIA_BASE: join(directory, 'data'),
    RABBITMQ_LOG_BASE: join(directory, 'log'),
    RABBITMQ_PID_FILE: join(directory, 'pid'),
    RABBITMQ_CONF_ENV_FILE: '/dev/null', // the machine's own settings must not reach in
    RABBITMQ_ADVANCED_CONFIG_FILE: join(directory, 'none'),
    RABBITMQ_CONFIG_FILE: files.config,
    RABBITMQ_ENABLED_PLUGINS_FILE: files.plugins,
    RUNNING_UNDER_SYSTEMD: 'true', // makes the start script become the server instead of a parent that waits for it
  }
  const broker = await startBroker({
    name: 'RabbitMQ',
    url,
    // Started by us, the port mapper stays in our process group; started by RabbitMQ, it would stay behind as a daemon.
    run: () =>
      runOwned({ directory, command: [server], env, companion: `epmd -port ${ports.mapper} -address 127.0.0.1` }),
    ready: async () =>
      (await answers(ports.amqp, AMQP_GREETING, CONNECTION_START)) && (await nodeNameAt(managementUrl)) === node,
    readyWithinMs: 120_000,
  })
  return Object.assign(broker, { managementUrl })
}

function writeSettings(directory: string, ports: { amqp: number; management: number }, memoryLimit?: string) {
  const config = join(directory, 'rabbitmq.conf')
  const plugins = join(directory, 'enabled_plugins')
  writeFileSync(join(directory, '.erlang.cookie'), randomBytes(16).toString('hex'), { mode: 0o400 })
  writeFileSync(plugins, '[rabbitmq_management].')
  writeFileSync(
    config,
    `listeners.tcp.1 = 127.0.0.1:${ports.amqp}
management.tcp.ip = 127.0.0.1
management.tcp.port = ${ports.management}
log.file = false
log.console = true
log.console.level = warning
disk_free_limit.absolute = 16MB
collect_statistics_interval = 1000
${memoryLimit === undefined ? '' : `vm_memory_high_watermark.absolute = ${memoryLimit}\n`}`,
  )
  return { config, plugins }
}

// Not the `rabbitmq-server` on the PATH: Debian's wrapper insists on becoming another user.
function findServer(): string | undefined {
  if (!existsSync(INSTALLED)) return undefined
  const versions = readdirSync(INSTALLED).filter((name) => name.startsWith('rabbitmq_server-'))
  return versions.map((name) => join(INSTALLED, name, 'sbin', 'rabbitmq-server')).find((path) => existsSync(path))
}
