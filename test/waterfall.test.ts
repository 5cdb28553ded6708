// The picture of a trace: what stands on it, and that no span's name can spoil a terminal.
import { type WaterfallOptions, type WaterfallSpan, waterfall } from 'taskspan/testing'
import { afterEach, expect, it, vi } from 'vitest'

const TRACE = '7b3c9e0f4f1c2a9d8e7f6a5b4c3d2e1f'
const OTHER = '4bf92f3577b34da6a3ce929d0e0e4736'

interface Sketch extends Partial<Omit<WaterfallSpan, 'startTime' | 'endTime'>> {
  readonly parent?: WaterfallSpan | undefined
  readonly parentId?: string | undefined
  readonly trace?: string
  readonly service?: string
}

let ids = 0
function span(name: string, from: number, to: number, sketch: Sketch = {}): WaterfallSpan {
  const { parent, parentId = parent?.spanContext().spanId, trace = TRACE, service = 'shop-render', ...more } = sketch
  const spanId = (++ids).toString(16).padStart(16, '0')
  const spanContext = (id: string) => ({ traceId: trace, spanId: id, traceFlags: 1 })
  return {
    name,
    kind: 0,
    spanContext: () => spanContext(spanId),
    parentSpanContext: parentId === undefined ? undefined : spanContext(parentId),
    startTime: time(from),
    endTime: time(to),
    status: { code: 0 },
    attributes: {},
    links: [],
    resource: { attributes: { 'service.name': service } },
    ...more,
  }
}

function time(ms: number): [number, number] {
  return [1_700_000_000 + Math.floor(ms / 1000), Math.round((ms % 1000) * 1e6)]
}

const draw = (spans: WaterfallSpan[], options: WaterfallOptions = {}): string =>
  waterfall(spans, { width: 80, colour: false, ...options })

afterEach(() => vi.unstubAllEnvs())

it('draws a trace as a tree with bars on one time axis', () => {
  const request = span('POST /clips', 0, 42, { kind: 1, service: 'shop-api' })
  const send = span('send render', 8, 11, { kind: 3, parent: request, service: 'shop-api' })
  const first = span('taskiq.render_clip', 120, 230, {
    kind: 4,
    parent: send,
    status: { code: 2, message: 'whisper did not answer' },
    attributes: {
      'taskiq.outcome': 'retry',
      'taskiq.attempt': 1,
      'taskiq.max_attempts': 3,
      'taskiq.wait_ms': 100,
      'error.type': 'TimeoutError',
    },
  })
  const second = span('taskiq.render_clip', 330, 512, {
    kind: 4,
    parent: send,
    attributes: { 'taskiq.outcome': 'success', 'taskiq.attempt': 2, 'taskiq.max_attempts': 3 },
  })
  const fetch = span('ext.whisper.transcribe', 332, 480, { kind: 2, parent: second })
  expect(draw([fetch, second, first, send, request])).toBe(
    `
trace 7b3c9e0f4f1c2a9d8e7f6a5b4c3d2e1f  5 spans · 512 ms · shop-api · shop-ren…
                                        0           512 ms
POST /clips (shop-api)                  ━╸                    42 ms
└─ send render                          ╺                      3 ms
   ├─ taskiq.render_clip (shop-render)  ┄┄┄┄━━━━             110 ms  ↻ retry 1/3
   │     TimeoutError: whisper did not answer
   └─ taskiq.render_clip (shop-render)             ╺━━━━━━   182 ms  ✓ 2/3
      └─ ext.whisper.transcribe                    ╺━━━━━    148 ms`.slice(1),
  )
})

it('draws what runs at the same time side by side', () => {
  const run = span('analysis.pipeline', 0, 100)
  const a = span('step.download', 0, 40, { parent: run })
  const b = span('step.transcribe', 40, 100, { parent: run, links: [{ context: a.spanContext() }] })
  const c = span('step.detect', 40, 80, { parent: run, links: [{ context: a.spanContext() }] })
  expect(draw([run, a, b, c], { width: 60 })).toBe(
    `
trace 7b3c9e0f4f1c2a9d8e7f6a5b4c3d2e1f  4 spans · 100 ms ·…
                    0              50 ms     100 ms
analysis.pipeline   ━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━   100 ms
├─ step.download    ━━━━━━━━━━━━╸                      40 ms
├─ step.transcribe              ╺━━━━━━━━━━━━━━━━━━    60 ms
└─ step.detect                  ╺━━━━━━━━━━━━          40 ms`.slice(1),
  )
})

it('says where links lead, and how many more there are', () => {
  const sender = span('send nightly', 0, 1, { trace: OTHER })
  const unknown = { context: { traceId: OTHER, spanId: 'ffffffffffffffff', traceFlags: 1 } }
  const task = span('taskiq.cleanup', 5, 9, {
    links: [{ context: sender.spanContext() }, ...Array.from({ length: 5 }, () => unknown)],
  })
  const picture = draw([sender, task])
  expect(picture).toContain(`↗ linked to send nightly in trace ${OTHER}`)
  expect(picture).toContain(`↗ linked to span ffffffffffffffff in trace ${OTHER}`)
  expect(picture).toContain('↗ linked to 2 more')
})

it('draws a bar also for what took no time, at either end', () => {
  const root = span('root', 0, 100)
  const lines = draw([root, span('first', 0, 0, { parent: root }), span('last', 100, 100, { parent: root })], {
    width: 60,
  }).split('\n')
  expect(lines.slice(3)).toEqual([`├─ first  ╸${' '.repeat(40)}     0 ms`, `└─ last   ${' '.repeat(40)}╺     0 ms`])
})

it('draws each trace by itself, in the order of their start, on an axis of its own', () => {
  const picture = draw([span('later', 500, 600), span('earlier', 0, 10, { trace: OTHER })])
  expect(picture.split('\n\n').map((block) => block.split('\n')[2]?.split(' ')[0])).toEqual(['earlier', 'later'])
  expect(picture).toMatch(/^later {2}━+ {3}100 ms$/m)
})

it('tells failed from retried from quiet endings without colours, for any prefix', () => {
  const ended = (outcome: string, attributes = {}, code = 0) =>
    span(outcome, 0, 1, { status: { code }, attributes: { 'jobs.outcome': outcome, ...attributes } })
  const picture = draw([
    ended('success', { 'jobs.attempt': 1 }),
    ended('failure', { 'jobs.attempt': 3, 'jobs.max_attempts': 3 }, 2),
    ended('lost', {}, 2),
    ended('skipped', { 'jobs.step.attempt': 1 }),
    span('plain', 0, 1, { status: { code: 2, message: 'broken' } }),
  ])
  expect(picture.split('\n').flatMap((line) => /\d ms {2}(\S.*)/.exec(line)?.[1] ?? [])).toEqual([
    '✓',
    '✗ failure 3/3',
    '✗ lost',
    '· skipped',
    '✗ error',
  ])
  expect(picture).toContain('\n   broken')
})

it('paints errors red and retries yellow when asked', () => {
  const failed = span('bad', 0, 10, { status: { code: 2, message: 'broken' } })
  const retried = span('again', 0, 10, { status: { code: 2 }, attributes: { 'taskiq.outcome': 'retry' } })
  const picture = draw([failed, retried], { colour: true })
  expect(picture).toContain('\u001b[31mbroken\u001b[0m')
  expect(picture).toContain('\u001b[33m━━━')
  expect(draw([failed, retried])).not.toContain('\u001b')
})

it('colours by itself on a terminal only, and not against NO_COLOR', () => {
  const isTTY = Object.getOwnPropertyDescriptor(process.stdout, 'isTTY')
  const coloured = () => waterfall([span('a', 0, 1)]).includes('\u001b')
  try {
    vi.stubEnv('NO_COLOR', undefined)
    vi.stubEnv('TERM', 'xterm')
    Object.defineProperty(process.stdout, 'isTTY', { value: false, configurable: true })
    expect(coloured()).toBe(false)
    Object.defineProperty(process.stdout, 'isTTY', { value: true, configurable: true })
    expect(coloured()).toBe(true)
    vi.stubEnv('NO_COLOR', '1')
    expect(coloured()).toBe(false)
  } finally {
    if (isTTY === undefined) delete (process.stdout as { isTTY?: boolean }).isTTY
    else Object.defineProperty(process.stdout, 'isTTY', isTTY)
  }
})

it('lets no name or message move the cursor, break the line or turn the text around', () => {
  const hostile = 'a\u001b[2J\r\nb\u202e\u2028\u0007c'
  const picture = draw([span(hostile, 0, 1, { status: { code: 2, message: hostile }, service: hostile })])
  expect(picture.replaceAll('\n', '')).not.toMatch(/[\p{Cc}\p{Cf}\p{Zl}]/u)
  expect(picture.split('\n')).toHaveLength(4)
})

it('keeps every line within the width, whatever the names are', () => {
  const root = span('x'.repeat(500), 0, 10, { service: '服务'.repeat(60) })
  const wide = span('渲染'.repeat(100), 1, 2, { parent: root, status: { code: 2, message: 'é'.repeat(5_000_000) } })
  for (const width of [1, 60, 100, 133]) {
    for (const line of draw([root, wide], { width }).split('\n')) {
      const columns = [...line].reduce((sum, character) => sum + (/\p{Script=Han}/u.test(character) ? 2 : 1), 0)
      expect(columns).toBeLessThanOrEqual(Math.max(60, width))
    }
  }
})

it('survives a missing parent, a cycle, a chain of 10,000 spans, time that runs backwards, and no spans', () => {
  expect(draw([])).toBe('')
  expect(draw([span('orphan', 0, 1, { parentId: 'ffffffffffffffff' })])).toContain('\norphan')
  const a = span('a', 0, 1)
  const b = span('b', 0, 1, { parent: a })
  const cycle = [{ ...a, parentSpanContext: b.spanContext() }, b]
  expect(draw(cycle)).toMatch(/\na .*\n└─ b /)
  expect(draw([span('back', 10, 5)])).toMatch(/back {2}.* 0 ms/)
  let last: WaterfallSpan | undefined
  const chain = Array.from({ length: 10_000 }, (_, n) => (last = span(`s${n}`, n, 10_000, { parent: last })))
  const lines = draw(chain).split('\n')
  expect(lines).toHaveLength(203)
  expect(Math.max(...lines.map((line) => line.length))).toBeLessThanOrEqual(80)
  expect(lines.at(-1)).toBe('… 9800 more spans')
})
