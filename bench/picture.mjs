// The picture of the benchmarks: for each kind of work, bars of what it costs beside the peer, which is 1.

const TASK = 'CPU: '
// Title, part, the peer and its row of absolute cost, and the bars: a row's `what`, its unit, what is written beside it.
const GROUPS = [
  {
    title: 'A task in process, CPU time',
    part: 'task',
    peer: ['by hand: span, context, prom-client', `${TASK}d`],
    bars: [
      [`${TASK}bullmq-otel, traces`, 'x d', 'bullmq-otel: spans only'],
      [`${TASK}d and two log lines`, 'x d', 'by hand, and two pino lines'],
      [`${TASK}taskspan, spans and metrics`, 'x d', 'taskspan: spans and metrics'],
      [`${TASK}taskspan, everything, one log line`, 'x d', 'taskspan: and one log line'],
      [`${TASK}taskspan, everything, two log lines`, 'x d', 'taskspan: and two log lines'],
    ],
  },
  {
    title: 'A BullMQ job on Redis, worked off',
    part: 'bullmq',
    peer: ['bullmq-otel: spans only', 'consumer: bullmq-otel, traces'],
    bars: [
      ['consumer: bare', 'x bullmq-otel', 'bare BullMQ'],
      ['consumer: bullmq-otel, traces and metrics', 'x bullmq-otel', 'bullmq-otel: spans and metrics'],
      ['consumer: taskspan, everything', 'x bullmq-otel', 'taskspan: spans, metrics, logs'],
    ],
  },
  {
    title: 'A RabbitMQ message, published and consumed',
    part: 'amqp',
    peer: ['instrumentation-amqplib: spans only', 'with the publisher: instrumentation-amqplib'],
    bars: [
      ['with the publisher: bare', 'x instr.-amqplib', 'bare amqplib'],
      ['with the publisher: taskspan, send spans too', 'x instr.-amqplib', 'taskspan: spans, metrics, logs'],
    ],
  },
  {
    title: 'A step of a pipeline of 1,000 in layers',
    part: 'pipeline',
    peer: ['ready counters and spans by hand', 'layered: by hand'],
    bars: [
      ['layered: p-graph', 'x hand', 'p-graph and spans by hand'],
      ['layered: taskspan, spans', 'x hand', 'taskspan: spans'],
      ['layered: taskspan, everything', 'x hand', 'taskspan: spans, metrics, logs'],
    ],
  },
]

const [WIDTH, LEFT, RIGHT, ROW] = [860, 270, 90, 22]
const COLOUR = {
  ours: '#0969da',
  peer: '#8c959f',
  bare: '#d0d7de',
  text: '#1f2328',
  faint: '#656d76',
  target: '#cf222e',
}

/**
 * @param {Record<string, object[] | undefined>} parts rows by part
 * @param {number} major of Node
 */
export function picture(parts, major) {
  const groups = GROUPS.filter(({ part }) => parts[part] !== undefined).map((group) => ({
    title: group.title,
    bars: barsOf(group, parts),
  }))
  // One scale for all, so that the peers' bars end at one line.
  const most = Math.max(1.2, ...groups.flatMap(({ bars }) => bars.map(({ value }) => value))) * 1.04
  const x = (value) => LEFT + (Math.min(value, most) / most) * (WIDTH - LEFT - RIGHT)
  const drawn = []
  let y = 52
  for (const { title, bars } of groups) {
    drawn.push(text(20, y + 20, title, { size: 13, weight: 600 }))
    drawn.push(...bars.map((bar, at) => drawBar(bar, y + 30 + at * ROW, x)))
    y += 44 + bars.length * ROW
  }
  const subtitle = `Node ${major}; lines: 95 % intervals; red: the target. How it is measured: docs/benchmarks.md`
  return `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${WIDTH} ${y + 6}" font-family="system-ui, 'Segoe UI', Helvetica, Arial, sans-serif">
<rect width="${WIDTH}" height="${y + 6}" rx="8" fill="#ffffff"/>
${text(20, 26, 'CPU time beside the peers, which are 1', { size: 16, weight: 600 })}
${text(20, 44, subtitle, { fill: COLOUR.faint })}
${drawn.join('\n')}
</svg>
`
}

function barsOf({ part, peer: [label, absolute], bars }, parts) {
  const find = (what, unit) => {
    const row = parts[part].find((each) => each.what === what && (unit === undefined || each.unit === unit))
    if (row === undefined) throw new Error(`the picture looks for '${what}', and no part measures it`)
    return row
  }
  const others = bars.map(([what, unit, name]) => {
    const { value, low, high, target } = find(what, unit)
    return { label: name, value, low, high, target, kind: kindOf(what) }
  })
  return [{ label, value: 1, kind: 'peer', note: `= ${find(absolute).value.toFixed(1)} us` }, ...others]
}

const kindOf = (what) => (/bare/.test(what) ? 'bare' : /taskspan/.test(what) ? 'ours' : 'peer')

function drawBar({ label, value, low, high, target, kind, note }, y, x) {
  const end = x(value)
  const middle = y + 8
  const parts = [
    text(LEFT - 10, y + 12, label, { anchor: 'end', fill: kind === 'ours' ? COLOUR.text : COLOUR.faint }),
    `<rect x="${LEFT}" y="${y}" width="${round(end - LEFT)}" height="16" rx="2" fill="${COLOUR[kind]}"/>`,
  ]
  if (low !== undefined)
    parts.push(
      `<path d="M${round(x(low))} ${middle}H${round(x(high))}" stroke="${COLOUR.text}" stroke-opacity="0.55"/>`,
    )
  if (target !== undefined)
    parts.push(`<path d="M${round(x(target))} ${y - 2}v20" stroke="${COLOUR.target}" stroke-width="2"/>`)
  const after = Math.max(end, high === undefined ? 0 : x(high), target === undefined ? 0 : x(target))
  parts.push(
    text(after + 6, y + 12, `${value.toFixed(2)}${note ? ` ${note}` : ''}`, { weight: kind === 'ours' ? 600 : 400 }),
  )
  return parts.join('')
}

const round = (value) => Math.round(value * 10) / 10

function text(x, y, content, { size = 12, weight = 400, fill = COLOUR.text, anchor = 'start' } = {}) {
  return `<text x="${round(x)}" y="${y}" font-size="${size}" font-weight="${weight}" fill="${fill}" text-anchor="${anchor}">${content}</text>`
}
