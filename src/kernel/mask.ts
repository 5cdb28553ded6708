// Keeps the credentials of connection URLs out of texts that people read.

/**
 * Masks the credentials of connection URLs in a text: `redis://user:secret@host` becomes `redis://***@host`, and
 * `postgres://host/shop?password=secret` becomes `postgres://host/shop?password=***`.
 */
export function maskUrls(text: string): string {
  return text.includes('://') ? text.replace(USER, '$1***@').replace(PARAMETER, '$1***') : text
}

// Schemes and names are bounded, or a text of dots would cost quadratic time.
const USER = /(\b[a-z][a-z0-9+.-]{0,31}:\/\/)[^\s/?#"'<>]*@/gi
const PARAMETER = /([?&][a-z_.-]{0,32}(?:password|passwd|secret|token|signature|api_?key)=)[^\s&#"'<>]+/gi
