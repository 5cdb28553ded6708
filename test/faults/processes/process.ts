// A worker in a process of its own, as a case sees it: what it took and ended, how it ended itself, what it recorded.
import { type ChildProcess, fork, type StdioOptions } from 'node:child_process'
import { closeSync, openSync } from 'node:fs'
import type { Readable } from 'node:stream'
import { fileURLToPath } from 'node:url'
import { Waiting } from '../bench/waiting.ts'
import type { Bench, BrokerUrls } from '../fault.ts'
import type { Command, Report, Said, WorkerOrder } from './worker.ts'

export interface Options extends Pick<WorkerOrder, 'worker' | 'log'> {
  /** Instead of the suite's. */
  readonly brokers?: BrokerUrls
  readonly stdout?: 'closed' | 'full'
}

export class WorkerProcess {
  /** How often it took each task. */
  readonly taken = new Map<string, number>()
  readonly ended: Promise<string>
  private stderr = ''
  private reported = (_: Report): void => {}
  private readonly happened = new Waiting()

  private constructor(private readonly child: ChildProcess) {
    child.stderr?.on('data', (chunk) => {
      this.stderr = (this.stderr + chunk).slice(-2_000)
    })
    child.on('message', (said: Said) => {
      if (said.kind === 'report') return this.reported(said.report)
      if (said.kind === 'took') this.taken.set(said.id, (this.taken.get(said.id) ?? 0) + 1)
      this.happened.open('id' in said ? `${said.kind} ${said.id}` : said.kind)
    })
    this.ended = new Promise((resolve) => child.once('exit', (code, signal) => resolve(String(signal ?? code))))
  }

  static async start(bench: Bench, queue: string, options: Options = {}): Promise<WorkerProcess> {
    const { contender, place } = bench
    const { stdout, brokers = bench.brokers, ...rest } = options
    const order: WorkerOrder = { contender, place, brokers, queue, ...rest }
    const disk = stdout === 'full' ? openSync('/dev/full', 'w') : undefined
    const out = disk ?? (stdout === 'closed' ? 'pipe' : 'ignore')
    const child = fork(fileURLToPath(new URL('worker.ts', import.meta.url)), [JSON.stringify(order)], {
      execArgv: ['--import', import.meta.resolve('tsx')],
      env: { ...process.env, LOG_LEVEL: 'debug' },
      stdio: ['ignore', out, 'pipe', 'ipc'] as StdioOptions,
    })
    if (disk !== undefined) closeSync(disk)
    if (stdout === 'closed') (child.stdout as Readable).destroy()
    bench.after(() => child.kill('SIGKILL'))
    const started = new WorkerProcess(child)
    await started.until('ready')
    return started
  }

  took = (id: string): Promise<void> => this.until(`took ${id}`)
  finished = (id: string): Promise<void> => this.until(`ended ${id}`)

  /** It has another channel. */
  back = (): Promise<void> => this.until('back')

  tell(command: Command): void {
    this.child.send(command)
  }

  report(): Promise<Report> {
    const report = new Promise<Report>((resolve) => {
      this.reported = resolve
    })
    this.tell('report')
    return this.alive(report)
  }

  /** @returns the code or the signal that it ended by */
  kill(signal: NodeJS.Signals): Promise<string> {
    this.child.kill(signal)
    return this.ended
  }

  private until(what: string): Promise<void> {
    return this.alive(this.happened.of(what))
  }

  /** Rejects if the process ends first. */
  private alive<T>(happening: Promise<T>): Promise<T> {
    const end = this.ended.then((how): never => {
      const said = this.stderr.split('\n').find((line) => /Error\b/.test(line)) ?? this.stderr.slice(-200)
      throw new Error(`the worker's process ended (${how}): ${said}`)
    })
    end.catch(() => {})
    return Promise.race([happening, end])
  }
}
