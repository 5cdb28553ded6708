// One line that rewrites itself on a terminal; elsewhere a line every ten seconds.

let saidAt = 0

export function progress(text: string): void {
  if (process.stderr.isTTY) process.stderr.write(`\r\x1b[K${text}`)
  else if (text !== '' && performance.now() - saidAt > 10_000) {
    saidAt = performance.now()
    console.error(text)
  }
}
