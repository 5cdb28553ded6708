// Redis behind BullMQ: how much of its memory it uses, and whether it may throw jobs away to get more.
import { LINE } from '../kernel/names.ts'
import { BlockedLine, type BrokerState, brokerReadings } from './broker.ts'
import type { BullmqQueue } from './bullmq-queue.ts'
import type { Reading } from './gauges.ts'
import type { Tell } from './lookout.ts'
import type { Source } from './source.ts'

interface RedisBackend {
  readonly client: Promise<{ info(): Promise<string> }>
  readonly closing: Promise<void> | undefined
}

export class RedisSource implements Source<BrokerState> {
  readonly system = 'redis'
  private policy: string | undefined
  private readonly line: BlockedLine

  /** @param members queue and worker objects on this Redis: one that is open is asked */
  constructor(
    readonly broker: string,
    private readonly members: readonly BullmqQueue[],
    private readonly tell: Tell,
  ) {
    this.line = new BlockedLine(broker, tell)
  }

  ended(): boolean {
    return this.open() === undefined
  }

  readings(state: BrokerState): Reading[] {
    return brokerReadings(this.broker, state)
  }

  async look(): Promise<BrokerState> {
    const state = await this.ask()
    this.line.say(state)
    return state
  }

  private async ask(): Promise<BrokerState> {
    const backend = this.open()
    if (backend === undefined) throw new Error(`The connections to ${this.broker} are closed.`)
    const info = parse(await (await backend.client).info())
    const used = Number(info.get('used_memory'))
    const limit = Number(info.get('maxmemory'))
    const evictionPolicy = info.get('maxmemory_policy')
    if (!Number.isFinite(used) || !Number.isFinite(limit)) return { evictionPolicy }
    if (limit === 0) return { evictionPolicy, blocked: false }
    this.warn(evictionPolicy)
    const full = used >= limit
    return { memoryRatio: used / limit, evictionPolicy, blocked: full && evictionPolicy === 'noeviction' }
  }

  private open(): RedisBackend | undefined {
    const backends = this.members.map((member) => member.getBackend() as unknown as RedisBackend)
    return backends.find((backend) => backend.closing === undefined)
  }

  // With a limit and any other policy Redis makes room by deleting jobs, and says so to nobody.
  private warn(policy: string | undefined): void {
    if (policy === undefined || policy === this.policy) return
    this.policy = policy
    if (policy === 'noeviction') return
    const fields = { broker: this.broker, maxmemory_policy: policy }
    this.tell({ kind: 'line', level: 'error', message: LINE.brokerEvicts, fields })
  }
}

function parse(info: string): ReadonlyMap<string, string> {
  const fields = new Map<string, string>()
  for (const line of info.split(/\r?\n/)) {
    const at = line.indexOf(':')
    if (at > 0) fields.set(line.slice(0, at), line.slice(at + 1))
  }
  return fields
}

/** Where the Redis of a queue is, without credentials; undefined for a cluster, which has no one memory, and for others. */
export function redisAddress(member: BullmqQueue): string | undefined {
  if (!('redisVersion' in member.getBackend())) return undefined
  const { connection } = member.opts as { connection?: RedisConnection | null }
  if (connection === undefined || connection === null || connection.isCluster === true) return undefined
  const { url, host, port, path, socket, sentinels, name } = connection.options ?? connection
  const [sentinel] = sentinels ?? []
  // Whom they name is not known here, and ioredis keeps an address of its own beside them that nobody uses.
  if (sentinel !== undefined)
    return `redis+sentinel://${sentinel.host ?? '127.0.0.1'}:${sentinel.port ?? 26379}/${name}`
  if (url !== undefined && URL.canParse(url)) return `redis://${new URL(url).host}`
  if (path !== undefined && path !== null) return `redis:${path}`
  return `redis://${host ?? socket?.host ?? '127.0.0.1'}:${port ?? socket?.port ?? 6379}`
}

// ioredis's client and options, node-redis's client; BullMQ takes any of them.
interface RedisConnection extends RedisAddress {
  readonly isCluster?: boolean | undefined
  readonly options?: RedisAddress | undefined
}

interface RedisAddress {
  readonly url?: string | undefined
  readonly host?: string | undefined
  readonly port?: number | string | undefined
  readonly path?: string | null | undefined
  readonly sentinels?: readonly { readonly host?: string; readonly port?: number }[] | null | undefined
  /** Of the group that the sentinels watch. */
  readonly name?: string | undefined
  readonly socket?: { readonly host?: string; readonly port?: number } | undefined
}
