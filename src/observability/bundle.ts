// Everything that `taskspan observability` writes, as texts by path.
import { redrawn } from './redraw.ts'
import { renamed } from './rename.ts'
import { ruleFiles } from './rules.ts'
import { rulesOf, type Settings } from './settings.ts'

/** Files as they ship, by path with `/`: what is in `observability/`, and what is in `docs/`. */
export interface Shipped {
  readonly observability: Readonly<Record<string, string>>
  readonly docs: Readonly<Record<string, string>>
}

const RULES = 'prometheus/rules/'

export function bundle({ observability, docs }: Shipped, settings: Settings): Readonly<Record<string, string>> {
  const rules = rulesOf(settings)
  const { prefix, limits } = rules
  const files: Record<string, string> = {}
  for (const [path, text] of Object.entries(observability)) {
    if (path.startsWith(RULES)) continue
    const drawn = path.startsWith('dashboards/') && path.endsWith('.json') ? redrawn(text, { prefix, limits }) : text
    // What is in docs/ of the package lies beside these here.
    files[path] = renamed(drawn, prefix).replaceAll('](../docs/', '](')
  }
  // They lie one folder nearer to the rest than in the package.
  for (const [path, text] of Object.entries(docs)) {
    files[path] = renamed(text, prefix)
      .replaceAll('](../../observability/', '](../')
      .replaceAll('](../observability/', '](')
  }
  for (const [name, text] of Object.entries(ruleFiles(rules))) files[RULES + name] = text
  return files
}
