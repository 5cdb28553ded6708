// The steps that may start now, smallest index (first defined) first.

/**
 * A priority queue of indices: with a concurrency limit thousands may wait, and the first defined goes first. Most come in
 * ascending order, as a step's dependants do: those stand in a plain list, and only the others in a binary heap.
 */
export class ReadyQueue {
  // Emptied by its indices: an array whose length is set to 0 gives its memory back, and takes new at the next push.
  private readonly list: number[] = []
  private first = 0
  private end = 0
  private readonly heap: number[] = []

  clear(): void {
    this.clearList()
    this.heap.length = 0
  }

  push(value: number): void {
    const { list, first, end } = this
    if (end > first && (list[end - 1] as number) > value) return up(this.heap, value)
    list[end] = value
    this.end = end + 1
  }

  pop(): number | undefined {
    const { list, heap, first } = this
    if (first === this.end) return heap.length === 0 ? undefined : down(heap)
    const value = list[first] as number
    if (heap.length > 0 && (heap[0] as number) < value) return down(heap)
    if (first + 1 === this.end) this.clearList()
    else this.first = first + 1
    return value
  }

  private clearList(): void {
    this.first = 0
    this.end = 0
  }
}

function up(heap: number[], value: number): void {
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

/** Takes the smallest value off a heap that is not empty. */
function down(heap: number[]): number {
  const top = heap[0] as number
  const last = heap.pop() as number
  if (heap.length === 0) return top
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
