// The SQL for Logfire, run by PostgreSQL over spans that telemetry really made, in a table with Logfire's columns.
import type { PGlite } from '@electric-sql/pglite'
import type { RecordedSpan } from 'taskspan/testing'
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest'
import { openDatabase } from '../../examples/demo/pglite-template.ts'
import { snippets } from './snippets.ts'
import { type Written, written } from './written.ts'

let db: PGlite
beforeAll(async () => {
  db = await openDatabase(() => {}) // the demo's: from a snapshot, since a fresh one takes 15 s
  await db.exec(RECORDS)
  await db.exec(PERCENTILE)
}, 120_000) // where there is no snapshot, two busy cores take long
afterAll(() => db?.close())
beforeEach(() => db.exec('TRUNCATE records'))

// As Logfire's reference names them.
const RECORDS = `CREATE TABLE records (
  start_timestamp timestamptz, end_timestamp timestamptz, duration float8, trace_id text, span_id text, parent_span_id text,
  span_name text, message text, service_name text, deployment_environment text, attributes jsonb, otel_status_code text,
  otel_status_message text, is_exception boolean, exception_type text, exception_message text)`

// DataFusion's, by PostgreSQL's own means: exact where that one is approximate.
const PERCENTILE = `CREATE AGGREGATE approx_percentile_cont(float8 ORDER BY float8) (
  SFUNC = ordered_set_transition, STYPE = internal, FINALFUNC = percentile_cont_float8_final)`

interface Shift {
  /** How long before now it ended, in seconds. */
  readonly agoS?: number
  /** How many times as long it took. */
  readonly slower?: number
}

// What telemetry writes is the same each time: only when it is said to have been differs.
const made = new Map<boolean, Promise<Written>>()
function spansOf({ well = false } = {}): Promise<Written> {
  const known = made.get(well) ?? written({ well })
  made.set(well, known)
  return known
}

async function insert(spans: readonly RecordedSpan[], { agoS = 1, slower = 1 }: Shift = {}): Promise<void> {
  const rows = spans.map((span) => {
    const exception = span.events.find(({ name }) => name === 'exception')?.attributes
    const duration = (span.durationMs / 1_000) * slower
    const end = Date.now() - agoS * 1_000
    return {
      start_timestamp: new Date(end - duration * 1_000),
      end_timestamp: new Date(end),
      duration,
      ...{ trace_id: span.traceId, span_id: span.spanId, parent_span_id: span.parentSpanId ?? null },
      ...{ span_name: span.name, message: span.name },
      ...{ service_name: 'shop-render', deployment_environment: 'demo' },
      attributes: span.attributes,
      ...{ otel_status_code: span.status.toUpperCase(), otel_status_message: span.statusMessage ?? null },
      is_exception: exception !== undefined,
      exception_type: exception?.['exception.type'] ?? null,
      exception_message: exception?.['exception.message'] ?? null,
    }
  })
  await db.query('INSERT INTO records SELECT * FROM jsonb_populate_recordset(NULL::records, $1)', [rows])
}

const rowsOf = async (sql: string) => (await db.query<Record<string, unknown>>(sql)).rows
const cases = (document: string) => snippets('sql', [document]).map(({ title, text }) => [title, text] as const)
const saved = cases('observability/queries/logfire-sql.md')
const alerts = cases('docs/otlp-alerts.md')

describe('a saved query', () => {
  it.each(saved)('%s finds what was written', async (_, sql) => {
    const { spans } = await spansOf()
    await insert(spans)
    expect(await rowsOf(sql)).not.toEqual([])
  })

  const find = (text: string): string => {
    const [, sql] = saved.find(([, each]) => each.includes(text)) ?? ['', '']
    return sql
  }

  it('counts rejections by reason', async () => {
    await insert((await spansOf()).spans)
    const rows = await rowsOf(find('taskiq.reject_reason'))
    const reasons = ['expired', 'malformed', 'other', 'unknown_task']
    expect(rows.map(({ reason }) => reason).sort()).toEqual(reasons)
    expect(rows.every(({ messages }) => Number(messages) === 1)).toBe(true)
  })

  it('finds everything of one request: its own span, the send, the task and its steps', async () => {
    await insert((await spansOf()).spans)
    const names = (await rowsOf(find("'r-81'"))).map(({ span_name }) => span_name)
    const expected = ['POST /clips', 'send render', 'taskiq.render_clip', 'analysis.pipeline', 'step.transcribe']
    expect(names).toEqual(expect.arrayContaining([...expected, 'ext.whisper.transcribe']))
  })

  it('leaves retries, rejections and cancellations out of the failure rate', async () => {
    await insert((await spansOf()).spans)
    const [row] = await rowsOf(find('AS failure_rate'))
    // Of render_clip: the request's and the cron run succeeded; two pipelines and an attempt failed, one was lost.
    expect(row).toMatchObject({ task: 'render_clip', ended: 6 })
    expect(Number(row?.failure_rate)).toBeCloseTo(4 / 6)
  })
})

describe('an alert', () => {
  it.each(alerts)('%s is silent while all is well', async (_, sql) => {
    const { spans } = await spansOf({ well: true })
    for (const agoS of [3 * 86_400, 2 * 86_400, 86_400, 60]) await insert(spans, { agoS })
    expect(await rowsOf(sql)).toEqual([])
  })

  it.each(alerts)('%s fires on a bad day', async (_, sql) => {
    const { spans } = await spansOf()
    // Days ago all ran, and nothing has within the last 10 min but what failed, in another service, and took long.
    for (const agoS of [86_500, 86_450, 86_400]) await insert(spans, { agoS: agoS - 200 })
    const failed = spans.filter(({ attributes }) => attributes.task_type !== 'cron')
    await insert(failed, { slower: 1e6 })
    await db.exec("UPDATE records SET service_name = 'shop-other' WHERE end_timestamp > now() - interval '10 minutes'")
    await db.exec(
      "INSERT INTO records SELECT r.* FROM records r, generate_series(1, 24) WHERE service_name = 'shop-other'",
    )
    // They have just started: what took long in the past would not be seen within the window.
    await db.exec("UPDATE records SET start_timestamp = end_timestamp WHERE service_name = 'shop-other'")
    expect(await rowsOf(sql)).not.toEqual([])
  })
})
