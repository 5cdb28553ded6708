// Starts the fleet's processes, gives them orders, and gathers what they really did.
import { type ChildProcess, spawn } from 'node:child_process'
import { join } from 'node:path'
import { freePort } from '../../../scripts/brokers/ports.ts'
import { ROOT } from '../../support/staged.ts'
import type { Place } from './member.ts'

export const WORKERS = ['api', 'render', 'archive', 'mail', 'scheduler'] as const
export type WorkerName = (typeof WORKERS)[number]

export interface Fleet {
  /** Where each is scraped; known before it is ready. */
  readonly addresses: Readonly<Record<WorkerName, string>>
  /** Resolves when all of them are served. */
  readonly ready: Promise<void>
  order(worker: WorkerName, order: string): void
  /** Orders, and resolves with the next message that has this key. */
  ask<T>(worker: WorkerName, order: string, key: string): Promise<T>
  /** The next message with this key. */
  told<T>(worker: WorkerName, key: string): Promise<T>
  /** What all of them did, summed up. */
  ledger(): Promise<Record<string, number>>
  /** SIGKILL. */
  kill(...workers: readonly WorkerName[]): Promise<void>
}

export async function startFleet(place: Omit<Place, 'port'>): Promise<Fleet> {
  const ports = await differentPorts(WORKERS.length)
  const members = new Map(
    WORKERS.map((name, at) => [name, new MemberProcess(name, { ...place, port: ports[at] as number })] as const),
  )
  const of = (name: WorkerName): MemberProcess => members.get(name) as MemberProcess
  const kill = async (...names: readonly WorkerName[]): Promise<void> => {
    await Promise.all(names.map((name) => of(name).kill()))
  }
  const addresses = WORKERS.map((name, at) => [name, `127.0.0.1:${ports[at]}`])
  return {
    addresses: Object.fromEntries(addresses) as Record<WorkerName, string>,
    ready: Promise.all([...members.values()].map((each) => each.told('ready'))).then(() => {}),
    order: (name, order) => of(name).order(order),
    told: (name, key) => of(name).told(key),
    ask(name, order, key) {
      const answer = of(name).told(key)
      of(name).order(order)
      return answer as Promise<never>
    },
    async ledger() {
      const alive = [...members.values()].filter((each) => each.alive)
      const all = alive.map((each) => {
        const answer = each.told<Record<string, number>>('ledger')
        each.order('report')
        return answer
      })
      const sum: Record<string, number> = {}
      for (const one of await Promise.all(all)) {
        for (const [what, count] of Object.entries(one)) sum[what] = (sum[what] ?? 0) + count
      }
      return sum
    },
    kill,
  }
}

async function differentPorts(count: number): Promise<number[]> {
  const ports = new Set<number>()
  while (ports.size < count) ports.add(await freePort())
  return [...ports]
}

class MemberProcess {
  private readonly child: ChildProcess
  private readonly waiting = new Set<{ key: string; resolve: (value: never) => void; reject: (why: Error) => void }>()
  private readonly ended: Promise<void>
  private words = ''

  constructor(name: string, place: Place) {
    const loader = join(ROOT, 'node_modules/tsx/dist/loader.mjs')
    const own = Object.entries(process.env).filter(([key]) => !/^(OTEL_|VITEST|NODE_OPTIONS|TASKSPAN_)/.test(key))
    const env = { ...Object.fromEntries(own), OTEL_TRACES_EXPORTER: 'none' }
    const file = join(import.meta.dirname, `${name}.ts`)
    this.child = spawn(process.execPath, ['--import', loader, file, JSON.stringify(place)], {
      ...{ cwd: ROOT, env, stdio: ['ignore', 'ignore', 'pipe', 'ipc'] },
    })
    this.child.stderr?.on('data', (text) => {
      this.words = `${this.words}${text}`.slice(-5_000)
    })
    this.child.on('message', (message) => this.heard(message as Record<string, unknown>))
    this.ended = new Promise((resolve) => {
      this.child.once('close', () => {
        for (const { reject, key } of this.waiting) reject(new Error(`${name} ended before '${key}'. ${this.words}`))
        resolve()
      })
    })
  }

  get alive(): boolean {
    return this.child.exitCode === null && this.child.signalCode === null
  }

  order(order: string): void {
    this.child.send(order)
  }

  told<T>(key: string): Promise<T> {
    return new Promise<T>((resolve, reject) => void this.waiting.add({ key, resolve, reject }))
  }

  async kill(): Promise<void> {
    this.child.kill('SIGKILL')
    await this.ended
  }

  private heard(message: Record<string, unknown>): void {
    for (const each of this.waiting) {
      if (!(each.key in message)) continue
      this.waiting.delete(each)
      each.resolve(message[each.key] as never)
    }
  }
}
