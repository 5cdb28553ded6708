// Reads OTLP as protobuf, as far as tests ask: names and services of spans, bodies and trace ids of log records.

/** The length-delimited fields of a message by number; others are skipped. */
function fields(message: Buffer): Map<number, Buffer[]> {
  const found = new Map<number, Buffer[]>()
  let at = 0
  const varint = (): number => {
    let value = 0
    for (let shift = 0; ; shift += 7) {
      const byte = message[at++] ?? 0
      value += (byte & 0x7f) * 2 ** shift
      if (byte < 0x80) return value
    }
  }
  while (at < message.length) {
    const tag = varint()
    const kind = tag & 7
    if (kind === 0) varint()
    else if (kind === 1) at += 8
    else if (kind === 5) at += 4
    else {
      const size = varint()
      const number = tag >>> 3
      found.set(number, [...(found.get(number) ?? []), message.subarray(at, at + size)])
      at += size
    }
  }
  return found
}

/** All messages at the end of a path of field numbers. */
function all(message: Buffer, ...path: readonly number[]): Buffer[] {
  return path.reduce<Buffer[]>((from, number) => from.flatMap((one) => fields(one).get(number) ?? []), [message])
}

const texts = (message: Buffer, ...path: readonly number[]): string[] =>
  all(message, ...path).map((text) => text.toString())

/** Of an ExportTraceServiceRequest. */
export const spanNames = (request: Buffer): string[] => texts(request, 1, 2, 2, 5)

/** Of an ExportLogsServiceRequest: body and trace id of each record. */
export const logRecords = (request: Buffer): { body: string | undefined; traceId: string | undefined }[] =>
  all(request, 1, 2, 2).map((record) => ({
    body: texts(record, 5, 1)[0],
    traceId: all(record, 9)[0]?.toString('hex'),
  }))

/** The `service.name` of each resource. */
export const serviceNames = (request: Buffer): string[] =>
  all(request, 1, 1, 1).flatMap((attribute) =>
    texts(attribute, 1)[0] === 'service.name' ? texts(attribute, 2, 1) : [],
  )
