// A picture of a graph, before or after it ran, as Mermaid or Graphviz text.
import type { Graph } from './graph.ts'
import { type PipelineReport, type Reported, reportOf, type StepReport, type StepStatus } from './report.ts'

interface Box {
  readonly label: readonly string[]
  readonly status: StepStatus | undefined
  readonly isFinal: boolean
}

interface Arrow {
  readonly from: number
  readonly to: number
  readonly critical: boolean
}

/** Fills and borders that are told apart in print and by the colour-blind: the state also stands in the label. */
const COLOURS: Readonly<Partial<Record<StepStatus, readonly [fill: string, border: string]>>> = {
  success: ['#d8f0d8', '#2e7d32'],
  restored: ['#d6e9f8', '#1565c0'],
  running: ['#fff4cc', '#b28704'],
  failure: ['#fbd9d6', '#c62828'],
  timeout: ['#fbd9d6', '#c62828'],
  cancelled: ['#eeeeee', '#616161'],
  skipped: ['#f5f5f5', '#9e9e9e'],
}

class Picture {
  constructor(
    private readonly name: string,
    private readonly boxes: readonly Box[],
    private readonly arrows: readonly Arrow[],
  ) {}

  // Nodes are numbered: `end`, `class` and `style` are words of Mermaid's, and may be ids of steps.
  mermaid(): string {
    const lines = ['---', `title: ${yamlText(this.name)}`, '---', 'flowchart LR']
    this.boxes.forEach(({ label, isFinal }, at) => {
      const text = label.map(mermaidText).join('<br/>')
      lines.push(`  s${at}${isFinal ? `([“${text}”])`.replace(/[“”]/g, '"') : `["${text}"]`}`)
    })
    for (const { from, to, critical } of this.arrows) lines.push(`  s${from} ${critical ? '==>' : '-->'} s${to}`)
    for (const [status, [fill, border]] of Object.entries(COLOURS)) {
      const those = this.boxes.flatMap((box, at) => (box.status === status ? [`s${at}`] : []))
      if (those.length === 0) continue
      lines.push(
        `  classDef ${status} fill:${fill},stroke:${border},color:#000`,
        `  class ${those.join(',')} ${status}`,
      )
    }
    return `${lines.join('\n')}\n`
  }

  dot(): string {
    const lines = [
      `digraph ${dotText([this.name])} {`,
      '  rankdir=LR',
      '  node [shape=box, style="rounded,filled", fillcolor=white]',
    ]
    this.boxes.forEach(({ label, status, isFinal }, at) => {
      const [fill, border] = (status && COLOURS[status]) ?? []
      const colours = fill === undefined ? '' : `, fillcolor="${fill}", color="${border}"`
      lines.push(`  s${at} [label=${dotText(label)}${colours}${isFinal ? ', peripheries=2' : ''}]`)
    })
    for (const { from, to, critical } of this.arrows)
      lines.push(`  s${from} -> s${to}${critical ? ' [penwidth=3]' : ''}`)
    return `${[...lines, '}'].join('\n')}\n`
  }
}

export function definitionPicture(name: string, { steps, needs }: Graph): Picture {
  const boxes = steps.map(({ id, options, final }) => {
    const { optional, retries = 0, timeoutMs } = options
    const words = [
      optional && 'optional',
      retries > 0 && `${retries} retries`,
      timeoutMs !== undefined && `≤ ${time(timeoutMs)}`,
    ]
    const extra = words.filter((word) => typeof word === 'string').join(', ')
    return { label: extra === '' ? [id] : [id, extra], status: undefined, isFinal: final }
  })
  const arrows = needs.flatMap((list, to) => list.map((from) => ({ from, to, critical: false })))
  return new Picture(name, boxes, arrows)
}

/** What can be asked of a run, while it runs and after. */
export function viewsOf(run: Reported): { report(): PipelineReport; toMermaid(): string; toDot(): string } {
  return {
    report: () => reportOf(run),
    toMermaid: () => runPicture(reportOf(run)).mermaid(),
    toDot: () => runPicture(reportOf(run)).dot(),
  }
}

function runPicture({ pipeline, steps, criticalPath }: PipelineReport): Picture {
  const index = new Map(steps.map(({ id }, at) => [id, at]))
  const next = new Map(criticalPath.map((id, at) => [id, criticalPath[at + 1]]))
  const boxes = steps.map((step) => ({ label: [step.id, stateOf(step)], status: step.status, isFinal: false }))
  const arrows = steps.flatMap(({ id, after }, to) =>
    after.map((need) => ({ from: index.get(need) as number, to, critical: next.get(need) === id })),
  )
  return new Picture(pipeline, boxes, arrows)
}

function stateOf({ status, durationMs, attempt, reason }: StepReport): string {
  const words: string[] = [status.replace('_', ' ')]
  if (reason !== undefined) words.push(`(${reason})`)
  if (durationMs > 0 && status !== 'skipped' && status !== 'restored') words.push(time(durationMs))
  if (attempt > 1) words.push(`attempt ${attempt}`)
  return words.join(' ')
}

function time(ms: number): string {
  return ms < 1_000 ? `${Math.round(ms * 10) / 10} ms` : `${Math.round(ms / 10) / 100} s`
}

// Reasons and the ids of other executors' steps are free text.
function mermaidText(text: string): string {
  return text.replace(/[&<>"#;\n`]/g, (char) => `#${char.codePointAt(0)};`).slice(0, 200)
}

// Other executors' pipelines have any name.
function yamlText(text: string): string {
  return /^\w+$/.test(text) ? text : JSON.stringify(text)
}

function dotText(lines: readonly string[]): string {
  return `"${lines.map((line) => line.replace(/[\\"]/g, '\\$&').replace(/\n/g, ' ')).join('\\n')}"`
}
