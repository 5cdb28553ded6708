// The table of results: as text for a terminal, as Markdown for docs/faults.md and the README.
import { readFileSync } from 'node:fs'
import { CONTENDERS } from '../contenders/index.ts'
import type { ContenderName, Fault, Place } from '../fault.ts'
import type { Result } from './trial.ts'

export interface Row {
  readonly fault: Fault
  readonly place: Place
  /** Undefined where it does not concern a contender. */
  readonly results: Readonly<Partial<Record<ContenderName, Result>>>
}

const NONE = '–'

/** `tried/survived` by contender, aligned. */
export function asText(rows: readonly Row[], contenders: readonly ContenderName[]): string {
  const cells = [['fault', 'where', ...contenders], ...rows.map((row) => [...heading(row), ...counts(row, contenders)])]
  const widths = cells[0]?.map((_, column) => Math.max(...cells.map((line) => line[column]?.length ?? 0))) ?? []
  const lines = cells.map((line) =>
    line
      .map((cell, column) => cell.padEnd(widths[column] ?? 0))
      .join('  ')
      .trimEnd(),
  )
  return ['tried / survived', '', ...lines].join('\n')
}

export function asMarkdown(rows: readonly Row[], contenders: readonly ContenderName[]): string {
  const line = (cells: readonly string[]): string => `| ${cells.join(' | ')} |`
  return [
    line(['fault: tried / survived', 'on', ...contenders.map(heard)]),
    line(['---', '---', ...contenders.map(() => '---')]),
    ...rows.map((row) => line([...heading(row), ...counts(row, contenders)])),
  ].join('\n')
}

/** What was not survived, row by row. */
export function losses(rows: readonly Row[], contenders: readonly ContenderName[], most = 12): string {
  return rows
    .flatMap(({ fault, place, results }) =>
      contenders.flatMap((name) => {
        const lost = results[name]?.lost ?? []
        if (lost.length === 0) return []
        const items = lost
          .slice(0, most)
          .map(({ title, why }) => `- ${title}: ${why.replaceAll(/\s+/g, ' ').slice(0, 160)}`)
        if (lost.length > most) items.push(`- and ${lost.length - most} more`)
        return [`### ${name}: ${fault.name}, ${place}\n\n${items.join('\n')}`]
      }),
    )
    .join('\n\n')
}

function heading({ fault, place }: Row): string[] {
  return [fault.name, place === 'no broker' ? NONE : place]
}

function counts({ results }: Row, contenders: readonly ContenderName[]): string[] {
  return contenders.map((name) => {
    const result = results[name]
    return result === undefined || result.tried === 0 ? NONE : `${result.tried} / ${result.survived}`
  })
}

/** A contender with its version. */
function heard(name: ContenderName): string {
  const [first] = CONTENDERS[name].packages
  return first === undefined || first === 'taskspan' ? name : `${name} ${versionOf(first)}`
}

export function versionsOf(contenders: readonly ContenderName[]): string {
  const packages = new Set(contenders.flatMap((name) => CONTENDERS[name].packages))
  for (const name of ['@opentelemetry/api', '@opentelemetry/sdk-trace-base', 'prom-client', 'pino']) packages.add(name)
  return [...packages].map((name) => `${name} ${versionOf(name)}`).join(', ')
}

function versionOf(name: string): string {
  const folder = name === 'taskspan' ? '../../../' : `../../../node_modules/${name}/`
  const { version } = JSON.parse(readFileSync(new URL(`${folder}package.json`, import.meta.url), 'utf8')) as {
    version: string
  }
  return version
}
