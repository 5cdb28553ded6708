// A message read from JSON becomes what a handler expects: bytes as Buffers, and of a BullMQ job what JSON leaves out.

/** Copies a recorded message; the fixture stays as it is. */
export function revive(message: object): object {
  const copy = bytes(message) as Record<string, unknown>
  const { queueQualifiedName: qualified } = copy
  if (copy === message || typeof qualified !== 'string') return copy
  // Job.toJSON leaves out the queue, which is what `job.queueName` asks; and handlers of jobs report progress.
  copy.queueName ??= qualified.slice(qualified.lastIndexOf(':') + 1)
  copy.log = async () => 0
  copy.updateProgress = async (progress: unknown) => {
    copy.progress = progress
  }
  return copy
}

function bytes(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(bytes)
  if (typeof value !== 'object' || value === null) return value
  // A Buffer, a Job, anything with a class: it did not come out of a JSON file, and is handed on as it is.
  if (Object.getPrototypeOf(value) !== Object.prototype) return value
  const { $base64, type, data } = value as { $base64?: unknown; type?: unknown; data?: unknown }
  if (typeof $base64 === 'string') return Buffer.from($base64, 'base64')
  if (type === 'Buffer' && Array.isArray(data)) return Buffer.from(data as number[])
  return Object.fromEntries(Object.entries(value).map(([key, item]) => [key, bytes(item)]))
}
