// The tasks that run now, oldest first: a linked list, since a Set would cost each task a hash and a table made anew.

/** Where an item stands. */
export interface Place<Item> {
  readonly item: Item
  before: Place<Item> | undefined
  after: Place<Item> | undefined
}

/** A set to those who read it; who enters makes a place, and leaves it once. */
export class Running<Item> implements ReadonlySet<Item> {
  size = 0
  private first: Place<Item> | undefined
  private last: Place<Item> | undefined

  enter(place: Place<Item>): void {
    place.before = this.last
    if (this.last === undefined) this.first = place
    else this.last.after = place
    this.last = place
    this.size++
  }

  leave({ before, after }: Place<Item>): void {
    if (before === undefined) this.first = after
    else before.after = after
    if (after === undefined) this.last = before
    else after.before = before
    this.size--
  }

  *values(): SetIterator<Item> {
    for (let at = this.first; at !== undefined; at = at.after) yield at.item
  }

  keys(): SetIterator<Item> {
    return this.values()
  }

  *entries(): SetIterator<[Item, Item]> {
    for (const item of this.values()) yield [item, item]
  }

  [Symbol.iterator](): SetIterator<Item> {
    return this.values()
  }

  has(wanted: Item): boolean {
    for (const item of this.values()) if (item === wanted) return true
    return false
  }

  forEach(tell: (item: Item, key: Item, set: ReadonlySet<Item>) => void, self?: unknown): void {
    for (const item of this.values()) tell.call(self, item, item, this)
  }
}
