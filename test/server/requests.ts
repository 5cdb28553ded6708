// What no honest client sends to the server, and what becomes of it; the tests of the server and the suite of faults share it.

export const HOST = 'Host: 127.0.0.1\r\n'
export const CLOSE = 'Connection: close\r\n'
export const GET = (path: string, headers = '') => `GET ${path} HTTP/1.1\r\n${HOST}${CLOSE}${headers}\r\n`

/** What the server says to each: a status, or nothing but the end of the connection. */
export const MALFORMED: [string, string | Buffer, string | undefined][] = [
  ['bytes that are no text', Buffer.from([0, 1, 2, 255, 254, 13, 10, 13, 10]), '400'],
  ['a TLS handshake', Buffer.from('16030100c8010000c403035f', 'hex'), '400'],
  ['the HTTP/2 preface', 'PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n', '400'],
  ['a method alone', 'GET\r\n\r\n', '400'],
  ['no version, as in HTTP/0.9', 'GET /health\r\n\r\n', '200'],
  ['a version that does not exist', `GET /health HTTP/9.9\r\n${HOST}\r\n`, '400'],
  ['a method that does not exist', `FETCH /health HTTP/1.1\r\n${HOST}\r\n`, '400'],
  ['a method in small letters', `get /health HTTP/1.1\r\n${HOST}\r\n`, '400'],
  ['no Host', 'GET /health HTTP/1.1\r\n\r\n', '400'],
  ['two Hosts', `GET /health HTTP/1.1\r\n${HOST}Host: evil.example\r\n${CLOSE}\r\n`, '400'],
  ['a header without a colon', GET('/health', 'nonsense\r\n'), '400'],
  ['a header name with a space', GET('/health', 'X Y: 1\r\n'), '400'],
  ['a space before the colon', GET('/health', 'Content-Length : 5\r\n'), '400'],
  ['a NUL in a header', GET('/health', 'X-Y: a\0b\r\n'), '400'],
  ['a header that is continued', GET('/health', 'X-Y: a\r\n  b\r\n'), '400'],
  ['lines without carriage returns', `GET /health HTTP/1.1\nHost: x\nX: y\n\n`, '400'],
  ['a length that is no number', GET('/health', 'Content-Length: abc\r\n'), '400'],
  ['a negative length', GET('/health', 'Content-Length: -5\r\n'), '400'],
  ['two lengths', GET('/health', 'Content-Length: 5\r\nContent-Length: 6\r\n'), '400'],
  ['a length and chunks', GET('/health', 'Content-Length: 5\r\nTransfer-Encoding: chunked\r\n'), '400'],
  ['chunks twice encoded', GET('/health', 'Transfer-Encoding: chunked, identity\r\n'), '400'],
  ['a chunk of no size', `POST /health HTTP/1.1\r\n${HOST}Transfer-Encoding: chunked\r\n\r\nzz\r\n`, undefined],
  ['a target of 20 KB', GET(`/${'a'.repeat(20_000)}`), '431'],
  ['a header of 20 KB', GET('/health', `X-Y: ${'a'.repeat(20_000)}\r\n`), '431'],
  ['thousands of headers', GET('/health', Array.from({ length: 3_000 }, (_, n) => `X-${n}: 1\r\n`).join('')), '431'],
  ['a target with spaces', `GET /health and more HTTP/1.1\r\n${HOST}\r\n`, '400'],
  ['a target with a host', GET('http://127.0.0.1/health'), '400'],
  ['a star as the target', `OPTIONS * HTTP/1.1\r\n${HOST}${CLOSE}\r\n`, '400'],
  ['CONNECT', `CONNECT evil.example:443 HTTP/1.1\r\n${HOST}\r\n`, undefined],
  ['an upgrade to another protocol', GET('/health', 'Upgrade: websocket\r\nConnection: Upgrade\r\n'), '200'],
  ['an expectation that nobody meets', GET('/health', 'Expect: miracles\r\n'), '417'],
  ['a body where none belongs', `${GET('/health', 'Content-Length: 5\r\n')}hello`, '200'],
  ['more than it announced', `${GET('/health', 'Content-Length: 2\r\n')}hello\r\n\r\n`, '200'],
]

/** Paths that look like those of the server, or like a way around it. */
export const PATH_TRICKS = [
  '/debug/../metrics',
  '/../etc/passwd',
  '//metrics',
  '/metrics/',
  '/metrics/..',
  '/%6detrics',
  '/metrics%00',
  '/metrics;a=b',
  '/METRICS',
  '/debug/traces/../config',
  '/debug/traces/a/b',
  '/debug%2fstatus',
  '/debug\\status',
  '/__proto__',
  '/debug/__proto__',
  '/debug/constructor',
] as const

/** Hosts that are no name of a server on loopback. */
export const FOREIGN_HOSTS = [
  ...['evil.example', 'evil.example:9464', '127.0.0.1.evil.example', 'localhost.evil.example', '10.0.0.1'],
  ...['user@127.0.0.1', '127.0.0.1/x', '[::1', 'localhost:99999999', '127.0.0.1, evil.example'],
] as const

/** None at all is among them. */
export const wrongAuthorizations = (token: string): readonly (string | undefined)[] => [
  ...[undefined, '', 'Bearer', `Bearer ${token}x`, token, `Basic ${token}`, 'Bearer  '],
]
