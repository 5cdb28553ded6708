// Keeps the credentials of connection URLs out of texts that people read.

/** Masks the credentials of connection URLs in a text: `redis://user:secret@host` becomes `redis://***@host`. */
export function maskUrls(text: string): string {
  // The scheme is bounded, or a text of dots would cost quadratic time.
  return text.includes('://') ? text.replace(/(\b[a-z][a-z0-9+.-]{0,31}:\/\/)[^\s/?#"'<>]*@/gi, '$1***@') : text
}
