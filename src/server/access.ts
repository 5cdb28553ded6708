// Who may see `/debug`: the right name in the request, and the right token.
import { createHash, timingSafeEqual } from 'node:crypto'
import type { IncomingMessage } from 'node:http'
import { isIP } from 'node:net'
import { hostname } from 'node:os'
import { Refusal } from './answer.ts'
import type { Settings } from './options.ts'

/** What is known of the way in. */
export interface Gate {
  /** Only this machine can reach it. */
  readonly isLoopback: boolean
}

/** @throws {Refusal} */
export function admit(request: IncomingMessage, debug: Settings['debug'], gate: Gate, isWrite: boolean): void {
  if (debug === undefined) {
    throw new Refusal(404, 'debug_off', '/debug is not enabled.', 'Enable it with serve({ debug: true }).')
  }
  if (!isOwnName(request.headers.host, gate, debug.hosts)) {
    throw new Refusal(403, 'foreign_host', 'The Host header is not a name of this server.', FOREIGN)
  }
  if (gate.isLoopback && !isWrite) return
  if (debug.token === '') throw new Refusal(403, 'token_missing', 'No token is configured, so nobody may.', NO_TOKEN)
  const given = /^Bearer +(\S+) *$/i.exec(request.headers.authorization ?? '')?.[1] ?? ''
  if (!equal(given, debug.token)) {
    const headers = { 'www-authenticate': 'Bearer realm="taskspan"' }
    throw new Refusal(401, 'unauthorized', 'A valid bearer token is needed.', UNAUTHORIZED, {}, headers)
  }
}

const FOREIGN = 'Call it by its address or by localhost, or add the name to serve({ debug: { hosts: [...] } }).'
const NO_TOKEN = 'Set TASKSPAN_DEBUG_TOKEN or serve({ debug: { token } }).'
const UNAUTHORIZED = 'Send `Authorization: Bearer <TASKSPAN_DEBUG_TOKEN>`.'

// A page on the web can make a browser call this server under a name of its own (DNS rebinding), but not by an address.
function isOwnName(header: string | undefined, { isLoopback }: Gate, hosts: readonly string[]): boolean {
  const name = /^(\[[0-9a-f:.]+\]|[^\s:[\]@/\\?#]+)(:\d{1,5})?$/i.exec(header ?? '')?.[1]?.toLowerCase()
  if (name === undefined) return false
  const bare = name.startsWith('[') ? name.slice(1, -1) : name
  if (bare === 'localhost' || hosts.some((host) => host.toLowerCase() === bare)) return true
  if (isIP(bare) !== 0) return !isLoopback || isLoopbackAddress(bare)
  return !isLoopback && bare === hostname().toLowerCase()
}

export function isLoopbackAddress(address: string): boolean {
  return address === '::1' || /^(::ffff:)?127\.\d+\.\d+\.\d+$/i.test(address)
}

// Hashes are of one length, so the comparison says nothing of the token's.
function equal(given: string, token: string): boolean {
  return timingSafeEqual(hash(given), hash(token))
}

function hash(text: string): Buffer {
  return createHash('sha256').update(text).digest()
}
