// Draws one picture per dashboard from what its queries returned in the test run: tsx scripts/observability/picture.ts
import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { DASHBOARDS } from './dashboards.ts'
import { draw } from './picture/draw.ts'
import { type Results, unasked } from './picture/results.ts'

const path = (relative: string): string => fileURLToPath(new URL(`../../${relative}`, import.meta.url))
const [from = path('.cache/observability/results.json'), to = path('docs/images/dashboards')] = process.argv.slice(2)
const COMMAND = 'npx vitest run test/observability/real.test.ts'
if (!existsSync(from)) throw new Error(`There is no ${from}: ${COMMAND} writes it.`)
const results = JSON.parse(readFileSync(from, 'utf8')) as Results
mkdirSync(to, { recursive: true })
for (const [file, dashboard] of Object.entries(DASHBOARDS)) {
  const missing = unasked(results, file, dashboard)
  if (missing.length > 0)
    throw new Error(`${from} is older than these panels of ${file}: ${missing}. Do ${COMMAND} first.`)
  writeFileSync(`${to}/${file.replace(/json$/, 'svg')}`, draw(dashboard, file, results))
}
