// Writes what stands in observability/ from the sources here: npm run observability
import { mkdirSync, writeFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { ruleFiles } from '../../src/observability/rules.ts'
import { DASHBOARDS, toJson } from './dashboards.ts'

write(
  'dashboards',
  Object.fromEntries(Object.entries(DASHBOARDS).map(([file, dashboard]) => [file, toJson(dashboard)])),
)
write('prometheus/rules', ruleFiles())

function write(folder: string, files: Readonly<Record<string, string>>): void {
  const directory = fileURLToPath(new URL(`../../observability/${folder}/`, import.meta.url))
  mkdirSync(directory, { recursive: true })
  for (const [file, text] of Object.entries(files)) writeFileSync(directory + file, text)
}
