// The taxonomy of hand-made spans: what a name looks like, for the compiler, and made to look like it at run time.
import { fault } from '../kernel/faults.ts'

type Digit = '0' | '1' | '2' | '3' | '4' | '5' | '6' | '7' | '8' | '9'
type Foreign = ' ' | '.' | '-' | '/' | ':' | ',' | ';' | '#' | '?' | '&' | '=' | '+' | '*' | '@' | '(' | '{' | '<' | '['

// Of `credits.${string}` only the run can see the rest; plain `string` says nothing and could be anything, also an id.
type IsPattern<S extends string> = Record<never, never> extends Record<S, 1> ? true : false

/** A word in snake_case; anything else becomes `Wrong`. */
type Word<S extends string, Wrong> = string extends S
  ? Wrong
  : IsPattern<S> extends true
    ? S
    : S extends '' | `${Digit | '_'}${string}` | `${string}${Foreign}${string}`
      ? Wrong
      : S extends Lowercase<S>
        ? S
        : Wrong

type ServiceWrong = "name a service '<module>.<method>' in snake_case: 'credits.reserve'"
type WordWrong = 'name it with one word in snake_case'

/** `credits.reserve`: the name of a service's method. Anything else becomes a type that says so. */
export type ServiceName<N extends string> = N extends `${infer Module}.${infer Method}`
  ? string extends Module
    ? ServiceWrong
    : IsPattern<N> extends true
      ? N
      : false extends Word<Module, false> | Word<Method, false>
        ? ServiceWrong
        : N
  : ServiceWrong

/** `whisper`, `transcribe`, `publish`: one word. */
export type Named<S extends string> = Word<S, WordWrong>

const WORD = /^[a-z][a-z0-9_]{0,63}$/
const MAX_WRITTEN = 256
const MAX_KNOWN = 1_000

/** The word itself, or what it should have been; the latter is counted and said. */
export const word = remembering((text) => (WORD.test(text) ? text : snake(text)))

/** `<module>.<method>`, of whatever was written. */
export const serviceName = remembering((text) => {
  const [module = '', ...rest] = text.split('.')
  if (rest.length === 1 && WORD.test(module) && WORD.test(rest[0] as string)) return text
  return rest.length === 0 ? `unknown.${snake(module)}` : `${snake(module)}.${snake(rest.join('_'))}`
})

// Told once per name, not per call: the name is a mistake in the code, and that is called often.
function remembering(normalise: (text: string) => string): (name: unknown) => string {
  const known = new Map<string, string>()
  return (name) => {
    const text = typeof name === 'string' ? name.slice(0, MAX_WRITTEN) : ''
    let right = known.get(text)
    if (right === undefined) {
      right = normalise(text)
      if (right !== text) fault('spans', 'name', new TypeError(`'${text}' was recorded as '${right}'`))
      if (known.size < MAX_KNOWN) known.set(text, right)
    }
    return right
  }
}

function snake(text: string): string {
  const words = text
    .replace(/([a-z0-9])([A-Z])/g, '$1_$2')
    .toLowerCase()
    .replace(/[^a-z0-9]+/g, '_')
    .replace(/^[0-9_]+|_+$/g, '')
  return words.slice(0, 64) || 'unknown'
}
