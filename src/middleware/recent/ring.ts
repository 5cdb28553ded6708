// The last items of a stream, bounded by their number and by their weight.

export class Ring<Item> {
  private items: { readonly item: Item; readonly weight: number }[] = []
  private weight = 0

  constructor(
    private readonly maxItems: number,
    private readonly maxWeight = Number.POSITIVE_INFINITY,
  ) {}

  /** Adds an item, and lets go of the oldest that no longer fit; one that never fits is not kept. */
  push(item: Item, weight = 0): void {
    if (weight > this.maxWeight) return
    this.items.push({ item, weight })
    this.weight += weight
    while (this.items.length > this.maxItems || this.weight > this.maxWeight) {
      this.weight -= this.items.shift()?.weight ?? 0
    }
  }

  /** Oldest first. */
  values(): Item[] {
    return this.items.map(({ item }) => item)
  }

  clear(): void {
    this.items = []
    this.weight = 0
  }
}
