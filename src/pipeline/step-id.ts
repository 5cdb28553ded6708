// What may be a step's id, as far as the compiler can see.
import type { ReservedId } from './graph.ts'

/** An id, or what is wrong with it: the compiler shows the sentence. */
export type NewId<Id extends string, Taken extends string> = string extends Id
  ? 'an id that is known only at run time goes through steps([…])'
  : Id extends (string extends Taken ? never : Taken)
    ? `'${Id}' is taken by an earlier step`
    : Id extends ReservedId
      ? `'${Id}' is a reserved id`
      : IsId<Id> extends true
        ? Id
        : 'an id matches ^[a-z][a-z0-9_]{0,63}$'

// biome-ignore format: two lines read better than 26
type Letter =
  | 'a' | 'b' | 'c' | 'd' | 'e' | 'f' | 'g' | 'h' | 'i' | 'j' | 'k' | 'l' | 'm'
  | 'n' | 'o' | 'p' | 'q' | 'r' | 's' | 't' | 'u' | 'v' | 'w' | 'x' | 'y' | 'z'
type Digit = '0' | '1' | '2' | '3' | '4' | '5' | '6' | '7' | '8' | '9'
type IsId<Id extends string> = Id extends `${Letter}${infer Rest}` ? IsRest<Rest, [unknown]> : false
type IsRest<Rest extends string, Seen extends unknown[]> = Rest extends ''
  ? true
  : Seen['length'] extends 64
    ? false
    : Rest extends `${Letter | Digit | '_'}${infer More}`
      ? IsRest<More, [...Seen, unknown]>
      : false
