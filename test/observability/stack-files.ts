// The stack's files as data: the two compose files, and whatever else stands in observability/.
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { parse } from 'yaml'
import { ROOT } from '../support/staged.ts'

export interface Service {
  readonly image?: string
  readonly build?: { readonly context: string; readonly dockerfile: string }
  readonly command?: readonly string[]
  readonly profiles?: readonly string[]
  readonly ports?: readonly string[]
  readonly volumes?: readonly string[]
  readonly environment?: Readonly<Record<string, string>>
  readonly labels?: Readonly<Record<string, string>>
  readonly depends_on?: readonly string[] | Readonly<Record<string, unknown>>
}

export interface Compose {
  readonly include?: readonly string[]
  readonly services: Readonly<Record<string, Service>>
  readonly volumes?: Readonly<Record<string, unknown>>
}

export const STACK = 'observability/compose.yaml'
export const files = ['compose.yaml', STACK]

/** By its path from the root. */
export const textOf = (file: string): string => readFileSync(join(ROOT, file), 'utf8')
export const yamlOf = <T>(file: string): T => parse(textOf(file), { merge: true }) as T

export const composes = new Map(files.map((file) => [file, yamlOf<Compose>(file)]))
/** The repository's own, and the one that it includes. */
export const [demo, stack] = files.map((file) => composes.get(file)) as [Compose, Compose]
