// What goes out: JSON without credentials, errors in one envelope, both with a cap on their size.
import { maskUrls } from '../kernel/outcome.ts'
import { redaction } from '../middleware/logging/redact.ts'

export interface Answer {
  readonly status: number
  readonly contentType: string
  readonly body: Buffer
  readonly headers?: Readonly<Record<string, string>> | undefined
}

/** Why a request is refused; becomes the error envelope. */
export class Refusal extends Error {
  constructor(
    readonly status: number,
    /** Stable; documented in docs/http.md. */
    readonly code: string,
    message: string,
    readonly help: string,
    readonly details: Readonly<Record<string, unknown>> = {},
    readonly headers: Readonly<Record<string, string>> = {},
  ) {
    super(message)
  }
}

export const JSON_TYPE = 'application/json; charset=utf-8'

/** Larger than any of ours; a user's section has its own. */
const MAX_BYTES = 16 * 1_024 * 1_024

/** Turns values into JSON in which no credential is readable. */
export class Writer {
  private readonly secret = new Map<string, boolean>()
  private readonly redact: ReturnType<typeof redaction>

  /** @param keys more keys whose values are hidden, as in `logging({ redact })` */
  constructor(keys: readonly string[] = []) {
    this.redact = redaction(keys)
  }

  json(value: unknown, status = 200, maxBytes = MAX_BYTES): Answer {
    return { status, contentType: JSON_TYPE, body: Buffer.from(`${this.text(value, maxBytes)}\n`) }
  }

  /** @throws when it cannot be written as JSON; a Refusal when it is larger than `maxBytes` */
  text(value: unknown, maxBytes = MAX_BYTES): string {
    let left = maxBytes
    const json = JSON.stringify(value, (key, item: unknown) => {
      const shown = this.isSecret(key) ? '[REDACTED]' : typeof item === 'string' ? maskUrls(item) : item
      // Counted while it is written: what is too large must not first be made in full.
      left -= key.length + (typeof shown === 'string' ? shown.length : 4)
      if (left < 0) throw tooLarge(maxBytes)
      return shown
    })
    if (json === undefined) return 'null'
    if (Buffer.byteLength(json) > maxBytes) throw tooLarge(maxBytes)
    return json
  }

  isSecret(key: string): boolean {
    let verdict = this.secret.get(key)
    if (verdict === undefined) {
      verdict = this.redact({ [key]: 0 })[key] !== 0
      if (this.secret.size < 1_000) this.secret.set(key, verdict)
    }
    return verdict
  }
}

function tooLarge(maxBytes: number): Refusal {
  return new Refusal(500, 'too_large', `The answer is larger than ${maxBytes} bytes.`, 'Ask for less of it.')
}

/** The envelope of every error. */
export function errorBody(refusal: Refusal, requestId: string, traceId: string | null): object {
  const { code, message, details, help } = refusal
  return { error: { code, message, request_id: requestId, trace_id: traceId, details, help } }
}
