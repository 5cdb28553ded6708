// A process of a test's own: its log lines as they come, and how it ends.
import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { onTestFinished } from 'vitest'
import { ROOT } from '../support/staged.ts'

export interface Line {
  readonly message: string
  readonly [field: string]: unknown
}

export interface Child {
  readonly process: ChildProcess
  readonly lines: readonly Line[]
  readonly stderr: () => string
  /** Resolves when `is` holds for its lines; rejects when it ends before. */
  until(is: (lines: readonly Line[]) => boolean): Promise<void>
  readonly ended: Promise<{ readonly code: number | null; readonly signal: string | null }>
}

export function child(file: string, argument: unknown, env: Record<string, string>): Child {
  const loader = join(ROOT, 'node_modules/tsx/dist/loader.mjs')
  const own = Object.fromEntries(
    Object.entries(process.env).filter(([name]) => !/^(OTEL_|VITEST|NODE_OPTIONS)/.test(name)),
  )
  const started = spawn(
    process.execPath,
    ['--import', loader, join(import.meta.dirname, file), JSON.stringify(argument)],
    { cwd: ROOT, env: { ...own, ...env }, stdio: ['ignore', 'pipe', 'pipe'] },
  )
  const lines: Line[] = []
  let stderr = ''
  const waiting = new Set<() => void>()
  started.stderr.on('data', (chunk) => {
    stderr += chunk
  })
  createInterface(started.stdout).on('line', (line) => {
    lines.push(JSON.parse(line) as Line)
    for (const look of waiting) look()
  })
  const ended = once(started, 'close').then(([code, signal]) => ({ code, signal }))
  onTestFinished(() => void started.kill('SIGKILL'))
  return {
    process: started,
    lines,
    stderr: () => stderr,
    ended,
    until: (is) =>
      new Promise((resolve, reject) => {
        const look = (): void => {
          if (!is(lines)) return
          waiting.delete(look)
          resolve()
        }
        waiting.add(look)
        void ended.then(() => reject(new Error(`It ended too early. ${JSON.stringify(lines)} ${stderr}`)))
        look()
      }),
  }
}
