// The TypeScript samples of the documents, as files that can be checked and run.
import { mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { ROOT } from './staged.ts'

export interface Sample {
  /** `README.md:38`, where the sample begins. */
  readonly title: string
  readonly file: string
  readonly text: string
  /** Why it is checked but not run: said in a comment of the document, `<!-- not run: it listens on a port -->`. */
  readonly notRun: string | undefined
}

/** The documents that users read, in the root and in docs/. */
export function documents(): string[] {
  const docs = readdirSync(join(ROOT, 'docs'), { recursive: true, encoding: 'utf8' }).map((name) => join('docs', name))
  const examples = ['examples/README.md']
  return [...readdirSync(ROOT), ...docs, ...examples].filter((name) => name.endsWith('.md')).sort()
}

/** Writes every sample to a directory inside the project, where its imports lead to the sources. */
export function samples(directory: string): Sample[] {
  mkdirSync(directory, { recursive: true })
  return documents().flatMap((document) => {
    const text = readFileSync(join(ROOT, document), 'utf8')
    const blocks = text.matchAll(/(?:<!-- not run: (.+?) -->\s*)?^( *)```(?:ts|typescript)\b.*\n([\s\S]*?)^ *```$/gm)
    return [...blocks].map(({ 0: block, 1: notRun, 2: indent = '', 3: code = '', index }) => {
      const line = text.slice(0, index + block.indexOf('```')).split('\n').length
      const file = join(directory, `${document.replace(/\W+/g, '-')}-${line}.ts`)
      const own = code.replaceAll(new RegExp(`^${indent}`, 'gm'), '')
      // A module also where it imports nothing, so that it may await.
      writeFileSync(file, `${own}\nexport {}\n`)
      return { title: `${document}:${line}`, file, text: own, notRun }
    })
  })
}
