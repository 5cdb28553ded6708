// Puts the table where it is published: docs/faults.md as a whole, and between two marks in the README.
import { readFile, writeFile } from 'node:fs/promises'
import type { ContenderName } from '../fault.ts'
import { asMarkdown, losses, type Row, versionsOf } from './report.ts'

const ROOT = new URL('../../../', import.meta.url)
const [BEGIN, END] = ['<!-- faults: written by npm run faults -->', '<!-- faults: end -->']

export async function write(rows: readonly Row[], contenders: readonly ContenderName[]): Promise<void> {
  const date = new Date().toISOString().slice(0, 10)
  const table = asMarkdown(rows, contenders)
  const page = [
    '# What breaks, and what it costs a task',
    `Written by \`npm run faults\` on ${date}, Node ${process.version}: ${versionsOf(contenders)}.`,
    'Each fault is tried on everybody in a process of its own, and judged alike. It was survived when what the row promises ' +
      'held: a process that hung or ended did not survive. A dash stands where a fault has nothing to act on.',
    table,
    '## What each row promises',
    promises(rows),
    '## What was not survived',
    losses(rows, contenders) || 'Nothing.',
  ]
  await writeFile(new URL('docs/faults.md', ROOT), `${page.join('\n\n')}\n`)
  const readme = new URL('README.md', ROOT)
  const text = await readFile(readme, 'utf8')
  const [before, rest] = text.split(BEGIN)
  const after = rest?.split(END)[1]
  if (after === undefined)
    throw new Error(`The README has no place for the table: it stands between ${BEGIN} and ${END}.`)
  const dated = `Written by \`npm run faults\` on ${date}; [more](docs/faults.md).`
  await writeFile(readme, `${before}${BEGIN}\n${table}\n\n${dated}\n${END}${after}`)
}

function promises(rows: readonly Row[]): string {
  const each = new Map(rows.map(({ fault }) => [fault.name, fault.promise]))
  return [...each].map(([name, promise]) => `- **${name}**: ${promise}.`).join('\n')
}
