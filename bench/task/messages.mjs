// What every contender is given: messages as a broker delivers them, each sent from within a trace of its own.

const hex = (length, seed) => seed.toString(16).padStart(length, 'a')

/** A thousand messages of one queue; `sampled` is the sender's decision, which every contender follows. */
export function messages(sampled) {
  const flags = sampled ? '01' : '00'
  return Array.from({ length: 1_000 }, (_, at) => ({
    name: 'render_clip',
    queue: 'render',
    id: String(100_000 + at),
    attempt: 1,
    maxAttempts: 3,
    sentAt: Date.now() - at,
    headers: { traceparent: `00-${hex(32, 7_000_003 * (at + 1))}-${hex(16, 90_001 * (at + 1))}-${flags}` },
  }))
}

export async function handler(message) {
  return message.attempt
}
