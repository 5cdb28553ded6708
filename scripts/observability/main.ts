// Writes what stands in observability/ from the sources here: npm run observability
import { mkdirSync, writeFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { DASHBOARDS, toJson } from './dashboards.ts'

const directory = fileURLToPath(new URL('../../observability/dashboards/', import.meta.url))
mkdirSync(directory, { recursive: true })
for (const [file, dashboard] of Object.entries(DASHBOARDS)) writeFileSync(directory + file, toJson(dashboard))
