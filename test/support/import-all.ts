// Imports every public entry, and says on stdout what that has changed in this process.
import { EventEmitter } from 'node:events'
import { readFileSync } from 'node:fs'
import http from 'node:http'
import net from 'node:net'
import { context, propagation, trace } from '@opentelemetry/api'
import amqplib from 'amqplib'
import { FlowProducer, Job, Queue, Worker } from 'bullmq'
import { register } from 'prom-client'

const manifest = JSON.parse(readFileSync('package.json', 'utf8')) as { exports: Record<string, unknown> }
const entries = Object.entries(manifest.exports)
  // `taskspan/register` is the one that is imported for its effect.
  .filter(([subpath, target]) => typeof target === 'object' && subpath !== './register')
  .map(([subpath]) => `taskspan${subpath.slice(1)}`)

const functions = (object: object): [string, unknown][] =>
  Object.entries(Object.getOwnPropertyDescriptors(object)).map(([key, { value, get, set }]) => [
    key,
    value ?? get ?? set,
  ])

function look(): Map<string, unknown> {
  const seen = new Map<string, unknown>()
  for (const [of, object] of Object.entries({
    ...{ http, net, amqplib, process, console, globalThis },
    ...{ Emitter: EventEmitter.prototype, Server: http.Server.prototype, Socket: net.Socket.prototype },
    ...{ Queue: Queue.prototype, Worker: Worker.prototype, Job: Job.prototype, Flow: FlowProducer.prototype },
    ...{ Promise: Promise.prototype, Error, Array: Array.prototype, Object: Object.prototype },
  })) {
    for (const [key, value] of functions(object)) if (typeof value === 'function') seen.set(`${of}.${key}`, value)
  }
  for (const event of process.eventNames()) seen.set(`on ${String(event)}`, process.listenerCount(event))
  for (const symbol of Object.getOwnPropertySymbols(globalThis)) seen.set(String(symbol), true)
  for (const [name, value] of Object.entries(process.env)) seen.set(`env ${name}`, value)
  // Files that Node reads while it loads modules come and go.
  const resources = process.getActiveResourcesInfo().filter((kind) => !kind.startsWith('FSReq'))
  seen.set('resources', resources.sort().join())
  seen.set('metrics', register.getMetricsAsArray().length)
  // Before a registration the API gives the same objects of its own each time.
  seen.set('span', trace.getTracer('x').startSpan('x').isRecording())
  seen.set('fields', propagation.fields().join())
  seen.set(
    'context',
    context.with(context.active().setValue(Symbol.for('x'), 1), () => context.active().getValue(Symbol.for('x'))),
  )
  return seen
}

look() // once for nothing: asking loads a few lazy getters of Node's own
const before = look()
for (const entry of entries) await import(entry)
const after = look()
const changed = [...new Set([...before.keys(), ...after.keys()])].filter((key) => before.get(key) !== after.get(key))
console.log(JSON.stringify({ entries, changed }))
