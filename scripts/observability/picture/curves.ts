// The curves of a panel: its series by name and colour, thinned to what a picture can show, on each other where they stack.
import { type Answered, named, type PanelJson, type Series } from './results.ts'
import { colourOf, PALETTE } from './svg.ts'

const MOST_SERIES = 10
const MOST_POINTS = 60

export type Point = readonly [time: number, value: number]

export interface Curve {
  readonly name: string
  readonly colour: string
  readonly points: readonly Point[]
}

export interface Curves {
  readonly shown: readonly Curve[]
  /** How many more there are. */
  readonly left: number
  readonly isStacked: boolean
  readonly areBars: boolean
}

interface Named {
  readonly name: string
  readonly series: Series
}

interface Custom {
  readonly drawStyle?: string
  readonly stacking?: { readonly mode: string }
}

export function curvesOf(panel: PanelJson, answered: readonly Answered[]): Curves {
  const { drawStyle, stacking } = (panel.fieldConfig?.defaults.custom ?? {}) as Custom
  const all = answered.flatMap(({ target, result }) =>
    result.map((series) => ({ name: named(target, series), series })).filter(({ series }) => series.values.length > 0),
  )
  const colours = colouring(panel)
  const curves = greatest(all).map(({ name, series }, at) => ({
    name,
    colour: colours(name) ?? PALETTE[at % PALETTE.length] ?? '',
    points: thinned(series),
  }))
  const isStacked = stacking?.mode === 'normal'
  return {
    shown: isStacked ? stacked(curves) : curves,
    left: all.length - curves.length,
    isStacked,
    areBars: drawStyle === 'bars',
  }
}

// More than fit are left out, the smallest first; Grafana shows them all.
function greatest(all: readonly Named[]): readonly Named[] {
  const peak = ({ series }: Named): number => Math.max(...series.values.map(([, value]) => Number(value)))
  const kept = new Set([...all].sort((a, b) => peak(b) - peak(a)).slice(0, MOST_SERIES))
  return all.filter((each) => kept.has(each))
}

function colouring(panel: PanelJson): (name: string) => string | undefined {
  const fixed = (panel.fieldConfig?.overrides ?? []).flatMap(({ matcher, properties }) => {
    const color = properties.find(({ id }) => id === 'color')?.value as { fixedColor: string } | undefined
    if (matcher.id !== 'byRegexp' || color === undefined) return []
    return [
      { pattern: new RegExp(String(matcher.options).replace(/^\/|\/$/g, '')), colour: colourOf(color.fixedColor) },
    ]
  })
  return (name) => fixed.find(({ pattern }) => pattern.test(name))?.colour
}

/** Every n-th point, and always the last. */
export function thinned({ values }: Series, most = MOST_POINTS): readonly Point[] {
  const every = Math.ceil(values.length / most)
  return values
    .filter((_, at) => (values.length - 1 - at) % every === 0)
    .map(([time, value]) => [time, Number(value)] as const)
}

function stacked(curves: readonly Curve[]): readonly Curve[] {
  const below = new Map<number, number>()
  return curves.map((curve) => ({
    ...curve,
    points: curve.points.map(([time, value]) => {
      const sum = (below.get(time) ?? 0) + value
      below.set(time, sum)
      return [time, sum] as const
    }),
  }))
}
