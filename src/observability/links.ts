// Links between the texts that ship, for where the texts lie when they are a user's own.
import { posix } from 'node:path'

/** Where a file of the package lies in the user's directory: nearer together, without the package's other papers. */
export function placeOf(path: string): string {
  return path.replace(/^(observability|docs)\//, '')
}

/** @param path of the text in the package, `docs/runbooks/cron-silent.md` */
export function relinked(text: string, path: string): string {
  if (!path.endsWith('.md')) return text
  return text.replace(/\]\((?![a-z]+:|#)([^)\s#]+)/g, (_, link: string) => {
    const target = placeOf(posix.join(posix.dirname(path), link))
    return `](${posix.relative(posix.dirname(placeOf(path)), target)}`
  })
}
