// Makes and removes RabbitMQ vhosts over the management HTTP API.

/** The API's usual port is the AMQP port and this: 5672 and 15672. Ours keep to it, so one rule finds both. */
export const MANAGEMENT_PORT_DISTANCE = 10_000

/** Where a broker's management API usually is, or `address` with the broker's user where it names none. */
export function managementUrlOf(amqpUrl: string, address?: string): string {
  const url = new URL(amqpUrl)
  const secure = url.protocol === 'amqps:'
  const port = Number(url.port || (secure ? 5671 : 5672)) + MANAGEMENT_PORT_DISTANCE
  const management = new URL(address ?? `http${secure ? 's' : ''}://${url.hostname}:${port}`)
  management.username ||= url.username || 'guest'
  management.password ||= url.password || 'guest'
  return management.href
}

/** Makes a vhost in which the URL's user may do everything; gives the AMQP URL of it. */
export async function createVhost(amqpUrl: string, managementUrl: string, name: string): Promise<string> {
  const user = new URL(amqpUrl).username || 'guest'
  const vhost = encodeURIComponent(name)
  await request(managementUrl, 'PUT', `/api/vhosts/${vhost}`, {})
  const everything = { configure: '.*', write: '.*', read: '.*' }
  await request(managementUrl, 'PUT', `/api/permissions/${vhost}/${user}`, everything)
  const url = new URL(amqpUrl)
  url.pathname = `/${vhost}`
  return url.href
}

export async function deleteVhosts(managementUrl: string, prefix: string): Promise<void> {
  const vhosts = (await request(managementUrl, 'GET', '/api/vhosts')) as { name: string }[]
  for (const { name } of vhosts.filter((vhost) => vhost.name.startsWith(prefix))) {
    await request(managementUrl, 'DELETE', `/api/vhosts/${encodeURIComponent(name)}`)
  }
}

/** The Erlang node behind the API, or `undefined` while nobody answers. */
export async function nodeNameAt(managementUrl: string): Promise<string | undefined> {
  try {
    const overview = (await request(managementUrl, 'GET', '/api/overview')) as { node?: string }
    return overview.node
  } catch {
    return undefined
  }
}

async function request(managementUrl: string, method: string, path: string, body?: unknown): Promise<unknown> {
  const { origin, username, password } = new URL(managementUrl)
  const credentials = `${decodeURIComponent(username)}:${decodeURIComponent(password)}`
  const response = await fetch(`${origin}${path}`, {
    method,
    headers: {
      authorization: `Basic ${Buffer.from(credentials).toString('base64')}`,
      'content-type': 'application/json',
    },
    ...(body === undefined ? {} : { body: JSON.stringify(body) }),
    signal: AbortSignal.timeout(10_000),
  })
  const text = await response.text()
  if (!response.ok) throw new Error(`RabbitMQ's management API refused ${method} ${path}: ${response.status} ${text}`)
  return text === '' ? undefined : JSON.parse(text)
}
