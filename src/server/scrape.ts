// /metrics: one rendering at a time and format, shared by those who ask meanwhile.
import type { Registry } from 'prom-client'
import { render } from '../middleware/metrics.ts'
import type { Answer } from './answer.ts'
import { type Desk, needed, type Route } from './route.ts'

export function scrape({ sources }: Desk): Route {
  const running = new Map<string, Promise<Answer>>()

  function rendered(registry: Registry, accept: string): Promise<Answer> {
    const format = accept.includes('application/openmetrics-text') ? 'application/openmetrics-text' : ''
    let answer = running.get(format)
    if (answer === undefined) {
      answer = renderOnce(registry, format).finally(() => running.delete(format))
      running.set(format, answer)
    }
    return answer
  }

  return {
    answer: ({ accept }) => rendered(needed(sources.telemetry.registry, 'metrics', NO_METRICS), accept),
  }
}

const NO_METRICS = 'Remove `metrics: false` from telemetry().'

async function renderOnce(registry: Registry, accept: string): Promise<Answer> {
  const { contentType, body } = await render(registry, accept)
  return { status: 200, contentType, body: Buffer.from(body) }
}
