// Runs a server that cannot outlive its owner, whichever way the owner ends.
import { type ChildProcess, spawn } from 'node:child_process'
import { closeSync, openSync, readFileSync, rmSync } from 'node:fs'
import { Socket } from 'node:net'
import { join } from 'node:path'

const END_PATIENCE_MS = 5000

export interface OwnedProcessOptions {
  /** Working directory, log and data. Removed when the process is ended or when its owner dies. */
  directory: string
  command: readonly [string, ...string[]]
  env: NodeJS.ProcessEnv
  /** A second command the server needs beside it, in the foreground; it goes when the server goes. */
  companion?: string
}

export interface OwnedProcess {
  readonly alive: boolean
  /** Resolves when the server is gone and has left its ports. */
  readonly exited: Promise<void>
  /** The last lines that the server wrote. */
  log(): string
  /** SIGTERM to the server, then waits. Its directory stays. */
  terminate(): Promise<void>
  /** SIGKILL to the server, as in a crash. Its directory stays. */
  kill(): Promise<void>
  /** SIGKILL to the server, and its directory is removed. */
  end(): Promise<void>
}

// The shell leads a process group of its own (`detached`) and holds the read end of a pipe whose write end only the
// owner has. The kernel closes that end on exit, on a crash and on `kill -9` alike, so no signal needs to be caught.
// The server is stopped (SIGSTOP) before its directory goes, or it would write into it again. The shell leaves last,
// after it has reaped the server: only then are the server's ports free.
const WATCHED = `
exec 3<&0 </dev/null
trap 'kill -TERM "$server" 2>/dev/null' TERM
trap 'kill -KILL "$server" 2>/dev/null' USR1
beside=
[ -z "$companion" ] || { $companion 3<&- & beside=$!; }
"$@" 3<&- &
server=$!
( trap '' TERM USR1; cat <&3 >/dev/null; kill -STOP "$server"; rm -rf "$directory"; kill -KILL "$server" ) &
while kill -0 "$server" 2>/dev/null; do wait "$server"; done
[ -z "$beside" ] || { kill -KILL "$beside"; wait "$beside"; }
kill -KILL 0
`

export function runOwned({ directory, command, env, companion = '' }: OwnedProcessOptions): OwnedProcess {
  const logFile = join(directory, 'server.log')
  const output = openSync(logFile, 'a')
  const child = spawn('/bin/sh', ['-c', WATCHED, 'broker', ...command], {
    cwd: directory,
    detached: true,
    env: { ...env, directory, companion },
    stdio: ['pipe', output, output],
  })
  closeSync(output)
  const exited = new Promise<void>((resolve) => {
    child.once('exit', () => resolve())
    child.once('error', () => resolve())
  })
  child.stdin?.on('error', () => {}) // EPIPE when the server went first
  setReferenced(child, false)
  const alive = () => child.pid !== undefined && child.exitCode === null && child.signalCode === null

  async function gone(end: () => void): Promise<void> {
    setReferenced(child, true) // or a script whose last words are `await stop()` would end in the middle of it
    if (alive()) end()
    await exited
    setReferenced(child, false)
  }
  return {
    get alive() {
      return alive()
    },
    exited,
    log: () => tail(logFile),
    terminate: () => gone(() => child.kill('SIGTERM')),
    kill: () => gone(() => child.kill('SIGUSR1')),
    end: async () => {
      const byForce = setTimeout(() => child.pid && process.kill(-child.pid, 'SIGKILL'), END_PATIENCE_MS)
      await gone(() => child.stdin?.destroy())
      clearTimeout(byForce)
      rmSync(directory, { recursive: true, force: true })
    },
  }
}

function setReferenced(child: ChildProcess, referenced: boolean): void {
  if (referenced) child.ref()
  else child.unref()
  if (child.stdin instanceof Socket) {
    if (referenced) child.stdin.ref()
    else child.stdin.unref()
  }
}

function tail(file: string): string {
  try {
    return readFileSync(file, 'utf8').trim().split('\n').slice(-20).join('\n')
  } catch {
    return '(it wrote nothing)'
  }
}
