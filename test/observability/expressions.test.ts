// What is read out of the expressions, before a Prometheus is asked: Grafana's variables, selectors, alerts without limits.
import { expect, it } from 'vitest'
import { filledIn, lenient, selectors } from './expressions.ts'

it('fills in what only Grafana knows', () => {
  // biome-ignore lint/suspicious/noTemplateCurlyInString: it is Grafana's
  const expression = 'rate(a{app=~"$app",queue=~"${queue:regex}"}[$__rate_interval]) offset $__range + $__interval'
  expect(filledIn(expression)).toBe('rate(a{app=~".*",queue=~".*"}[10s]) offset 10m + 2s')
})

it('finds every selector, with what stands in its braces, also between those of others', () => {
  const expression =
    'sum by (queue) (rate(taskiq_tasks_total{outcome=~"failure|lost",note="}"}[5m])) / taskiq:queue_backlog:max offset 5m and on (instance) {__name__=~"taskiq_worker_info|up"} unless up == 0'
  expect([...selectors(expression)]).toEqual([
    'taskiq_tasks_total{outcome=~"failure|lost",note="}"}',
    'taskiq:queue_backlog:max',
    '{__name__=~"taskiq_worker_info|up"}',
    'up',
  ])
})

it('takes the limits out of an alert, and nothing that is in braces', () => {
  expect(lenient('a{b!="c"} > 5 and on (x) d <= 3 * e unless on (x) f == 1 or g{h=~"i"} != 2')).toBe(
    'a{b!="c"} > bool 5 and on (x) d <= bool 3 * e or on (x) f == bool 1 or g{h=~"i"} != bool 2',
  )
})
