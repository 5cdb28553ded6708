// Things that happen once each, by name, and those who wait for them.

export class Waiting {
  readonly #opened = new Set<string>()
  readonly #waiting = new Map<string, Set<() => void>>()

  /** Resolves once `name` has happened. */
  of(name: string): Promise<void> {
    if (this.#opened.has(name)) return Promise.resolve()
    return new Promise((resolve) => {
      const those = this.#waiting.get(name) ?? new Set()
      this.#waiting.set(name, those.add(resolve))
    })
  }

  open(name: string): void {
    this.#opened.add(name)
    const those = this.#waiting.get(name)
    this.#waiting.delete(name)
    for (const resolve of those ?? []) resolve()
  }

  openAll(): void {
    for (const name of [...this.#waiting.keys()]) this.open(name)
  }

  shut(name: string): void {
    this.#opened.delete(name)
  }
}
