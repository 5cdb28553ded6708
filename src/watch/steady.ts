// For how long something has been so at each look.

export class Steady {
  private since: number | undefined

  forMs(so: boolean): number {
    if (!so) this.since = undefined
    else this.since ??= performance.now()
    return this.ms()
  }

  ms(): number {
    return this.since === undefined ? 0 : performance.now() - this.since
  }

  forget(): void {
    this.since = undefined
  }
}
