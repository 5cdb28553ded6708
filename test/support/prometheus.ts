// What tests ask a Prometheus: its HTTP API, and waiting until an answer is as it should be.
import { setTimeout as sleep } from 'node:timers/promises'

export interface Series {
  readonly metric: Readonly<Record<string, string>>
  /** Of an instant query: Unix seconds, and the number as text. */
  readonly value?: readonly [number, string]
  /** Of a range query. */
  readonly values?: readonly (readonly [number, string])[]
}

export interface Exemplars {
  readonly seriesLabels: Readonly<Record<string, string>>
  readonly exemplars: readonly { readonly labels: Readonly<Record<string, string>>; readonly value: string }[]
}

export interface Alert {
  readonly labels: Readonly<Record<string, string>>
  readonly annotations: Readonly<Record<string, string>>
  readonly state: 'pending' | 'firing'
}

/** Asks below /api/v1; rejects with Prometheus' own words. */
export async function api<T>(url: string, path: string, parameters: Record<string, string> = {}): Promise<T> {
  const response = await fetch(`${url}/api/v1/${path}`, { method: 'POST', body: new URLSearchParams(parameters) })
  const text = await response.text()
  if (!response.ok) throw new Error(`${path} ${JSON.stringify(parameters)}: ${response.status} ${text}`)
  return (JSON.parse(text) as { data: T }).data
}

/** The series of an instant query; a scalar is a series without labels. */
export async function query(url: string, expression: string): Promise<Series[]> {
  const { resultType, result } = await api<{ resultType: string; result: unknown }>(url, 'query', { query: expression })
  return resultType === 'scalar' ? [{ metric: {}, value: result as [number, string] }] : (result as Series[])
}

/** The one number that an expression gives; undefined for none. */
export async function number(url: string, expression: string): Promise<number | undefined> {
  const [first, ...others] = await query(url, expression)
  if (others.length > 0) throw new Error(`${expression} gives ${others.length + 1} series`)
  return first?.value === undefined ? undefined : Number(first.value[1])
}

export interface Span {
  /** Unix seconds. */
  readonly start: number
  readonly end: number
  readonly stepSeconds: number
}

export async function range(url: string, expression: string, { start, end, stepSeconds }: Span): Promise<Series[]> {
  const parameters = { query: expression, start: String(start), end: String(end), step: String(stepSeconds) }
  return (await api<{ result: Series[] }>(url, 'query_range', parameters)).result
}

/** The exemplars of the last minutes. */
export function exemplars(url: string, expression: string): Promise<Exemplars[]> {
  const now = Date.now() / 1000
  return fetchJson(
    `${url}/api/v1/query_exemplars?${new URLSearchParams({
      ...{ query: expression, start: String(now - 300), end: String(now + 10) },
    })}`,
  )
}

async function fetchJson<T>(url: string): Promise<T> {
  const response = await fetch(url)
  const text = await response.text()
  if (!response.ok) throw new Error(`${url}: ${response.status} ${text}`)
  return (JSON.parse(text) as { data: T }).data
}

export async function alerts(url: string): Promise<Alert[]> {
  return (await fetchJson<{ alerts: Alert[] }>(`${url}/api/v1/alerts`)).alerts
}

/**
 * Asks until the answer is as it should be, and gives it. What a server scrapes and evaluates on its own clock tells
 * nobody when it has done so: this is the one place that looks again and again.
 */
export async function eventually<T>(what: string, ask: () => Promise<T>, isRight: (answer: T) => boolean): Promise<T> {
  const giveUpAt = performance.now() + PATIENCE_MS
  for (;;) {
    const answer = await ask()
    if (isRight(answer)) return answer
    if (performance.now() > giveUpAt)
      throw new Error(`${what}: not within ${PATIENCE_MS} ms: ${JSON.stringify(answer)}`)
    await sleep(200)
  }
}

const PATIENCE_MS = 25_000
