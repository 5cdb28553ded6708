// The graphs that every contender runs: chain, wide and layered, as lists of `{ id, needs }`.

/** @returns {{ id: string, needs: number[] }[]} */
export function graph(shape, size) {
  const id = (at) => `s${at}`
  if (shape === 'chain')
    return Array.from({ length: size }, (_, at) => ({ id: id(at), needs: at === 0 ? [] : [at - 1] }))
  if (shape === 'wide') {
    // One source, all others after it, one sink after the last 100.
    return Array.from({ length: size }, (_, at) => ({
      id: id(at),
      needs: at === 0 ? [] : at < size - 1 ? [0] : Array.from({ length: 100 }, (_, n) => size - 101 + n),
    }))
  }
  // Layers of 100; each step needs three of the layer before.
  return Array.from({ length: size }, (_, at) => {
    const first = (Math.floor(at / 100) - 1) * 100
    const needs = first < 0 ? [] : [0, 7, 31].map((n) => first + ((at + n) % 100))
    return { id: id(at), needs: [...new Set(needs)].sort((a, b) => a - b) }
  })
}

export const edges = (steps) => steps.reduce((sum, { needs }) => sum + needs.length, 0)
