// Somebody's message broker, here in memory: named boxes, letters with headers, and an envelope to answer for each.

export interface Letter {
  readonly id: string
  readonly box: string
  readonly subject: string
  readonly text: string
  readonly headers: Readonly<Record<string, unknown>>
  /** How often it was put into the box: 1 for the first time. */
  readonly delivery: number
  /** The letter is done with. */
  keep(): void
  /** The letter goes back into its box, or is thrown away. */
  refuse(again: boolean): void
}

export type Draft = Pick<Letter, 'box' | 'subject' | 'text'> & { readonly headers?: Readonly<Record<string, unknown>> }

export class Mailbox {
  private readonly readers = new Map<string, (letter: Letter) => void>()
  private letters = 0

  constructor(
    private readonly answered: (letter: Letter, answer: 'kept' | 'again' | 'thrown away') => void = () => {},
  ) {}

  /** Calls `reader` for each letter that comes into the box. */
  read(box: string, reader: (letter: Letter) => void): void {
    this.readers.set(box, reader)
  }

  /** Puts a letter into its box. */
  post(draft: Draft): void {
    this.deliver({ headers: {}, ...draft }, String(++this.letters), 1)
  }

  private deliver(draft: Required<Draft>, id: string, delivery: number): void {
    const letter: Letter = {
      ...draft,
      id,
      delivery,
      keep: () => this.answered(letter, 'kept'),
      refuse: (again) => {
        this.answered(letter, again ? 'again' : 'thrown away')
        if (again) this.deliver(draft, id, delivery + 1)
      },
    }
    setImmediate(() => this.readers.get(draft.box)?.(letter)) // never within post()
  }
}
