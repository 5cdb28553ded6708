// Cuts texts at a number of bytes: what limits a span or a line is its size on the wire, and a character has up to four.

/** The text, or as much of its beginning as fits into `limit` bytes of UTF-8. */
export function cut(text: string, limit: number): string {
  if (text.length * 3 <= limit || Buffer.byteLength(text) <= limit) return text
  const bytes = Buffer.from(text.slice(0, limit)).subarray(0, limit)
  // A character that was cut in two decodes as U+FFFD.
  return bytes.toString().replace(/\uFFFD$/, '')
}
