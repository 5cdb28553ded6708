// Everything that `taskspan observability` writes, as texts by path.
import { placeOf, relinked } from './links.ts'
import { limited, ownLimits } from './own-limits.ts'
import { redrawn } from './redraw.ts'
import { renamed } from './rename.ts'
import { ruleFiles } from './rules.ts'
import { rulesOf, type Settings } from './settings.ts'

const RULES = 'prometheus/rules/'
const RUNBOOKS = 'runbooks/'

/** @param shipped texts by their path in the package: `observability/…`, `docs/…` */
export function bundle(
  shipped: Readonly<Record<string, string>>,
  settings: Settings,
): Readonly<Record<string, string>> {
  const rules = rulesOf(settings)
  const { prefix, limits } = rules
  const own = ownLimits(settings)
  const files: Record<string, string> = {}
  for (const [path, text] of Object.entries(shipped)) {
    const place = placeOf(path)
    // Rules are made, not copied: a file of an older version would fire beside them.
    if (place.startsWith(RULES)) continue
    const drawn = place.startsWith('dashboards/') && place.endsWith('.json') ? redrawn(text, { prefix, limits }) : text
    const written = relinked(renamed(drawn, prefix), path)
    const flags = place.startsWith(RUNBOOKS) ? own[place.slice(RUNBOOKS.length)] : undefined
    files[place] = flags === undefined ? written : limited(written, flags)
  }
  for (const [name, text] of Object.entries(ruleFiles(rules))) files[RULES + name] = text
  return files
}
