// The pictures of the dashboards: what they show is what was returned, and those in the documents are of these dashboards.
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { DASHBOARDS } from '../../scripts/observability/dashboards.ts'
import { draw } from '../../scripts/observability/picture/draw.ts'
import { panelsOf, type Results, type Series } from '../../scripts/observability/picture/results.ts'
import { ticks, written } from '../../scripts/observability/picture/units.ts'
import { ROOT } from '../support/staged.ts'

const CAPTION = 'Drawn from what its queries returned in the test run, not a screenshot of Grafana.'
const files = Object.entries(DASHBOARDS)
const START = Date.UTC(2026, 0, 5, 3, 0, 0) / 1000

const series = (metric: Record<string, string>, values: readonly number[]): Series => ({
  metric,
  values: values.map((value, at) => [START + at * 60, String(value)]),
})

/** The picture of a dashboard of which one panel was answered. */
function picture(file: string, title: string, ...answers: readonly (readonly Series[])[]): string {
  const dashboard = DASHBOARDS[file]
  if (dashboard === undefined) throw new Error(`no dashboard ${file}`)
  const panel = panelsOf(dashboard).find((each) => each.title === title)
  const targets = panel?.targets ?? []
  const recorded = targets.map(({ expr }, at) => ({
    panel: title,
    expr,
    type: panel?.type ?? '',
    result: answers[at] ?? [],
  }))
  const results: Results = { recordedAt: '2026-01-05T03:10:00.000Z', dashboards: { [file]: recorded } }
  return draw(dashboard, file, results)
}

const texts = (svg: string): string[] => [...svg.matchAll(/<text[^>]*>([^<]*)<\/text>/g)].map(([, text = '']) => text)

describe('a picture', () => {
  it('says what it is', () => {
    expect(texts(picture('overview.json', 'Waiting')).at(-1)).toBe(`${CAPTION} 2026-01-05`)
  })

  it('shows the last value of a number, in the colour of the limit that it has reached', () => {
    const waiting = (last: number) => picture('overview.json', 'Waiting', [series({}, [0, 5, last])])
    expect(waiting(99)).toMatch(/fill="#73bf69"[^>]*>99</)
    expect(waiting(100)).toMatch(/fill="#ff9830"[^>]*>100</)
    expect(waiting(1_000)).toMatch(/fill="#f2495c"[^>]*>1 K</)
  })

  it('says so where a query returned nothing', () => {
    expect(texts(picture('queues.json', 'Next job has waited'))).toContain('nothing waits')
  })

  it('joins the queries of a table by their labels, sorted as the dashboard says', () => {
    const [render, mail] = [
      { queue: 'clips', task_name: 'render_clip' },
      { queue: 'orders', task_name: 'mail_order' },
    ]
    const svg = picture(
      'overview.json',
      'Which task failed',
      [series(render, [2]), series(mail, [7])],
      [series(render, [1])],
      [series(mail, [0.5]), series(render, [0.04])],
    )
    const cells = texts(svg).slice(texts(svg).indexOf('Queue', 20))
    expect(cells.slice(0, 14)).toEqual([
      ...['Queue', 'orders', 'clips', 'Task', 'mail_order', 'render_clip'],
      ...['Failed', '7', '2', 'Lost', '1', 'Failure rate', '50%', '4%'],
    ])
  })

  it('draws a line through every point, and breaks it where there is none', () => {
    const whole = picture('queues.json', 'Backlog by queue', [series({ queue: 'clips' }, [0, 50, 100, 50])])
    expect(whole.match(/stroke-linejoin/g)).toHaveLength(1)
    expect(/d="(M[^"]+)" fill="none" stroke="#73bf69"/.exec(whole)?.[1]?.match(/M/g)).toHaveLength(1)
    const { values } = series(
      {},
      Array.from({ length: 100 }, () => 1),
    )
    const broken = [{ metric: { queue: 'clips' }, values: values.filter((_, at) => at < 20 || at > 60) }]
    expect(
      /d="(M[^"]+)" fill="none" stroke="#73bf69"/
        .exec(picture('queues.json', 'Backlog by queue', broken))?.[1]
        ?.match(/M/g),
    ).toHaveLength(2)
  })

  it('draws the limits of alerts that are near', () => {
    const limits = (peak: number) =>
      picture('queues.json', 'Backlog by queue', [series({ queue: 'clips' }, [1, peak])]).match(/stroke-dasharray/g)
    expect(limits(10)).toBe(null)
    expect(limits(80)).toHaveLength(1)
    expect(limits(2_000)).toHaveLength(2)
  })

  it('shows in a heat map only what is in one bucket and not in the one below', () => {
    const bucket = (le: string, value: number) => series({ le }, [value, value, value])
    const svg = picture('pipelines.json', 'Step durations', [
      bucket('0.1', 0),
      bucket('0.5', 2),
      bucket('1', 2),
      bucket('+Inf', 2),
    ])
    expect(texts(svg)).toContain('500 ms')
    expect(texts(svg)).not.toContain('1 s')
    expect(texts(svg)).not.toContain('100 ms')
  })

  it('writes what comes from others as text', () => {
    const svg = picture('queues.json', 'Backlog by queue', [series({ queue: '<script>&' }, [1, 2])])
    expect(svg).toContain('&lt;script&gt;&amp;')
    expect(svg).not.toContain('<script>')
  })
})

describe('numbers', () => {
  it.each([
    [0.0512, 'percentunit', '5.12%'],
    [0.245, 's', '245 ms'],
    [5_400, 's', '90 min'],
    [259_200, 's', '3 d'],
    [157_286_400, 'bytes', '150 MiB'],
    [12.5, 'suffix:/s', '12.5/s'],
    [1_234_567, 'short', '1.23 M'],
    [Date.UTC(2026, 0, 5, 3), 'dateTimeAsIso', '2026-01-05 03:00:00'],
  ])('%d in %s is %s', (value, unit, text) => {
    expect(written(value, unit)).toBe(text)
  })

  it('of an axis are round, in their unit', () => {
    expect(ticks(0, 97)).toEqual([0, 25, 50, 75, 100])
    expect(ticks(0, 300 * 1024 ** 2, 'bytes')).toEqual([0, 100, 200, 300].map((each) => each * 1024 ** 2))
    expect(ticks(0, 6_900, 's')).toEqual([0, 3_000, 6_000, 9_000])
    expect(ticks(-3, 5)).toEqual([-4, -2, 0, 2, 4, 6])
  })
})

describe.each(files)('the picture of %s in the documents', (file, dashboard) => {
  const svg = readFileSync(join(ROOT, 'docs/images/dashboards', file.replace(/json$/, 'svg')), 'utf8')

  it('has every panel of it, its caption, and is light', () => {
    const shown = texts(svg).join('\n').replaceAll('&amp;', '&')
    // What is too long for its panel is cut.
    const missing = panelsOf(dashboard).filter(({ title = '' }) => !shown.includes(title.slice(0, 12)))
    expect(missing.map(({ title }) => title)).toEqual([])
    expect(shown).toContain(CAPTION)
    expect(svg.length).toBeLessThan(60_000)
  })

  it('is in docs/dashboards.md and in the README', () => {
    const name = `images/dashboards/${file.replace(/json$/, 'svg')}`
    expect(readFileSync(join(ROOT, 'docs/dashboards.md'), 'utf8')).toContain(`](${name})`)
    expect(readFileSync(join(ROOT, 'README.md'), 'utf8')).toContain(`](docs/${name})`)
  })
})
