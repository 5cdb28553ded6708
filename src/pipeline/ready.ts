// The steps that may start now, smallest index (first defined) first.

/** A binary heap of indices: with a concurrency limit thousands may wait, and the first defined goes first. */
export class ReadyQueue {
  private readonly heap: number[] = []

  get size(): number {
    return this.heap.length
  }

  clear(): void {
    this.heap.length = 0
  }

  push(value: number): void {
    const { heap } = this
    let at = heap.length
    heap.push(value)
    while (at > 0) {
      const above = (at - 1) >> 1
      const upper = heap[above] as number
      if (upper <= value) break
      heap[at] = upper
      at = above
    }
    heap[at] = value
  }

  pop(): number | undefined {
    const { heap } = this
    const top = heap[0]
    const last = heap.pop()
    if (top === undefined || last === undefined || heap.length === 0) return top
    let at = 0
    for (;;) {
      let below = 2 * at + 1
      if (below >= heap.length) break
      if (below + 1 < heap.length && (heap[below + 1] as number) < (heap[below] as number)) below++
      const lower = heap[below] as number
      if (lower >= last) break
      heap[at] = lower
      at = below
    }
    heap[at] = last
    return top
  }
}
