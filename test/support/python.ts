// Runs Python programs with Debian's Celery and pika: producers that nobody here wrote.
import { execFile } from 'node:child_process'
import { existsSync } from 'node:fs'
import { promisify } from 'node:util'
import { program } from '../../scripts/brokers/install.ts'

const PACKAGES = '/usr/lib/python3/dist-packages'
// Debian's own: the `python3` on the PATH may be another, without these packages.
const PYTHON = '/usr/bin/python3'

const find = (name: string) => (): string | undefined => {
  const path = `${PACKAGES}/${name}`
  return existsSync(path) && existsSync(PYTHON) ? path : undefined
}

/** Runs a program and gives what it printed. Installs what is missing as root on Debian, else says what to do. */
export async function python(name: 'celery' | 'pika', source: string, ...args: string[]): Promise<string> {
  await program({ find: find(name), debianPackage: `python3-${name}` })
  const { stdout } = await promisify(execFile)(PYTHON, ['-c', source, ...args], { timeout: 30_000 })
  return stdout
}
