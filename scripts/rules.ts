// Writes the alerting rules that ship: `npx tsx scripts/rules.ts`, after a change of src/observability/.
import { mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { ruleFiles } from '../src/observability/rules.ts'

const directory = join(import.meta.dirname, '../observability/prometheus/rules')
mkdirSync(directory, { recursive: true })
for (const [name, text] of Object.entries(ruleFiles())) writeFileSync(join(directory, name), text)
