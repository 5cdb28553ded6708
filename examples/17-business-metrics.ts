// A metric of your own in the empty row of the overview, beside what fails. Run: npx tsx examples/17-business-metrics.ts [ops/dashboards]
// prints: ^shop_clips_sold_total\{plan="pro"\} 2
// prints: Your business metrics: Clips sold per hour, Clips sold today
// prints: rate\(shop_clips_sold_total\[\$__rate_interval\]\)
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { Counter, register } from 'prom-client'
import { consumer } from 'taskspan'
import { render } from 'taskspan/metrics'
import { telemetry } from 'taskspan/telemetry'

// 1. Count it in the task that earns it, in the registry that /metrics shows. A label has few values, and never an id.
const sold = new Counter({ name: 'shop_clips_sold_total', help: 'Clips that were paid for.', labelNames: ['plan'] })

interface Sale {
  readonly plan: 'free' | 'pro'
}
const sell = consumer<Sale>(
  { system: 'demo', read: () => ({ name: 'sell_clip', queue: 'sales' }) },
  telemetry({ logging: false }),
)
for (const plan of ['pro', 'free', 'pro'] as const) {
  await sell({ plan }, async () => sold.inc({ plan }))
}

// 2. Show it: panels as Grafana's "Inspect > Panel JSON" gives them, placed under the row.
// biome-ignore lint/suspicious/noTemplateCurlyInString: the dashboard's choice of a data source
const source = { type: 'prometheus', uid: '${prometheus}' }
const panels = [
  {
    title: 'Clips sold per hour',
    type: 'timeseries',
    description: 'Clips that were paid for, by plan.',
    targets: [
      { expr: '3600 * sum by (plan) (rate(shop_clips_sold_total[$__rate_interval]))', legendFormat: '{{plan}}' },
    ],
    size: { w: 16, h: 8 },
  },
  {
    title: 'Clips sold today',
    type: 'stat',
    description: 'In the last 24 hours.',
    targets: [{ expr: 'sum(increase(shop_clips_sold_total[24h]))' }],
    size: { w: 8, h: 8 },
  },
]

interface Dashboard {
  uid: string
  title: string
  panels: { id: number; type: string; title: string; gridPos: { x: number; y: number; w: number; h: number } }[]
}
const shipped = fileURLToPath(new URL('../observability/dashboards/overview.json', import.meta.url))
const overview = JSON.parse(readFileSync(shipped, 'utf8')) as Dashboard
const row = overview.panels.find(({ title }) => title === 'Your business metrics')
if (row === undefined) throw new Error(`${shipped} has no row for business metrics`)
let x = 0
for (const { size, ...panel } of panels) {
  const id = Math.max(...overview.panels.map((each) => each.id)) + 1
  // The row is the last one. What does not fill its 24 columns stands side by side.
  overview.panels.push({ id, datasource: source, gridPos: { x, y: row.gridPos.y + 1, ...size }, ...panel } as never)
  x += size.w
}

// 3. Keep it as a dashboard of its own: a new version of ours then never meets your changes.
overview.uid = 'shop-overview'
overview.title = 'Shop / Overview'
const [directory] = process.argv.slice(2)
if (directory !== undefined) {
  mkdirSync(directory, { recursive: true })
  writeFileSync(join(directory, 'shop-overview.json'), JSON.stringify(overview, null, 2))
}

const { body } = await render(register)
for (const line of body.split('\n')) if (line.startsWith('shop_')) console.log(line)
console.log(`${row.title}: ${panels.map(({ title }) => title).join(', ')}`)
for (const { targets } of panels) console.log(`  ${targets[0]?.expr}`)
