// Where Prometheus, Alertmanager and their tools are; Debian's packages are installed when they are missing.
import { existsSync } from 'node:fs'
import { delimiter, join } from 'node:path'
import { program } from '../brokers/install.ts'

/** The server's path. */
export function prometheus(): Promise<string> {
  return debian('prometheus', 'prometheus')
}

/** The server's path. Debian calls it `prometheus-alertmanager`, everybody else `alertmanager`. */
export function alertmanager(): Promise<string> {
  return debian('prometheus-alertmanager', 'prometheus-alertmanager', 'alertmanager')
}

/** The path of the tool that checks and tests Prometheus' rules, configuration and metrics. */
export function promtool(): Promise<string> {
  return debian('prometheus', 'promtool')
}

/** The path of the tool that checks Alertmanager's configuration. */
export function amtool(): Promise<string> {
  return debian('prometheus-alertmanager', 'amtool')
}

function debian(debianPackage: string, ...names: string[]): Promise<string> {
  return program({ debianPackage, find: () => names.map(find).find((path) => path !== undefined) })
}

function find(name: string): string | undefined {
  const directories = [...(process.env.PATH ?? '').split(delimiter), '/usr/bin', '/usr/local/bin']
  return directories.map((directory) => join(directory, name)).find((path) => existsSync(path))
}
