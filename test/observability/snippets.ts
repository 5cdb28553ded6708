// The queries in the documents: fenced blocks by their language.
import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { ROOT } from '../support/staged.ts'

export type Language = 'promql' | 'logql' | 'traceql' | 'sql' | 'sh'

export interface Snippet {
  /** `docs/runbooks/worker-stuck.md:9` */
  readonly title: string
  readonly document: string
  readonly text: string
}

export const RUNBOOKS = 'docs/runbooks'

/** Every page with queries in it. */
export function pages(): string[] {
  const runbooks = readdirSync(join(ROOT, RUNBOOKS)).map((name) => join(RUNBOOKS, name))
  const queries = readdirSync(join(ROOT, 'observability/queries')).map((name) => join('observability/queries', name))
  return [...runbooks, ...queries, 'docs/otlp-alerts.md']
}

export function textOf(document: string): string {
  return readFileSync(join(ROOT, document), 'utf8')
}

export function snippets(language: Language, documents: readonly string[] = pages()): Snippet[] {
  return documents.flatMap((document) => {
    const text = textOf(document)
    const blocks = text.matchAll(new RegExp(`^ *\`\`\`${language}\\n([\\s\\S]*?)^ *\`\`\`$`, 'gm'))
    return [...blocks].map(({ 1: code = '', index }) => {
      return { title: `${document}:${text.slice(0, index).split('\n').length}`, document, text: code.trim() }
    })
  })
}
