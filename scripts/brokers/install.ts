// Installs a missing Debian package as root, or says in plain words what to do.
import { spawn } from 'node:child_process'
import { existsSync } from 'node:fs'
import { setTimeout as sleep } from 'node:timers/promises'

export interface Requirement {
  /** Looks for the program; `undefined` when it is not there. */
  find: () => string | undefined
  debianPackage: string
  /** The environment variable that names a running server instead, where it is a server. */
  variable?: string
}

const APT = '/usr/bin/apt-get'
const LOCK_PATIENCE_MS = 300_000

let queue: Promise<unknown> = Promise.resolve()
let listsAreFresh = false

/** The program's path, installed first where that is possible. */
export function program(requirement: Requirement): Promise<string> {
  const found = queue.then(() => findOrInstall(requirement)) // one apt-get at a time
  queue = found.catch(() => {})
  return found
}

async function findOrInstall({ find, debianPackage, variable }: Requirement): Promise<string> {
  const present = find()
  if (present !== undefined) return present
  const install = `Install it (Debian, Ubuntu: \`sudo apt-get install ${debianPackage}\`)`
  const advice =
    variable === undefined ? `${install}.` : `${install}, or put the URL of a running server into ${variable}.`
  if (process.getuid?.() !== 0 || !existsSync(APT)) {
    throw new Error(`${debianPackage} is not installed, and only root on Debian can install it here. ${advice}`)
  }
  console.log(`[install] ${debianPackage} with apt-get`)
  if (!listsAreFresh) await apt('update') // a failure here is told by the install that follows
  listsAreFresh = true
  const output = await apt('install', '-y', '--no-install-recommends', debianPackage)
  const installed = find()
  if (installed === undefined) throw new Error(`${debianPackage} could not be installed. ${advice}\n${output}`)
  return installed
}

/** Runs apt-get and waits while another process holds one of its locks. Returns the end of what it printed. */
async function apt(...args: string[]): Promise<string> {
  const giveUpAt = Date.now() + LOCK_PATIENCE_MS
  for (;;) {
    const { code, output } = await run(APT, ['-q', '-o', 'DPkg::Lock::Timeout=300', ...args])
    const locked = code !== 0 && /could not get lock|unable to (acquire|lock)/i.test(output)
    if (!locked || Date.now() > giveUpAt) return output.split('\n').slice(-15).join('\n')
    console.log('[install] apt-get is busy with something else, waiting')
    await sleep(2000)
  }
}

function run(command: string, args: string[]): Promise<{ code: number | null; output: string }> {
  return new Promise((resolve) => {
    // RUNLEVEL=1 keeps the package from starting a server of its own where there is no systemd.
    const env = { ...process.env, DEBIAN_FRONTEND: 'noninteractive', RUNLEVEL: '1', LC_ALL: 'C.UTF-8' }
    const child = spawn(command, args, { env, stdio: ['ignore', 'pipe', 'pipe'] })
    let output = ''
    const collect = (chunk: Buffer) => {
      output += chunk.toString()
    }
    child.stdout.on('data', collect)
    child.stderr.on('data', collect)
    child.once('error', (error) => resolve({ code: null, output: String(error) }))
    child.once('close', (code) => resolve({ code, output }))
  })
}
