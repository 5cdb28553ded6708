// What the compiler says of hand-made spans: names of the taxonomy, an identifier, the result's own type.
import { ext, service, sse, usage } from 'taskspan/spans'

const id = { user_id: 'u-1' }
declare const op: 'reserve' | 'release'
declare const anything: string
declare const maybe: { user_id?: string }

const a: number = service('credits.reserve', id, () => 5)
const b: Promise<string> = service(
  `credits.${op}`,
  { clip_file_uuid: 'c-1', tries: 2 },
  async (span) => span.spanContext().traceId,
)
const c: number = ext('whisper', 'transcribe_clip', { 'user.id': 7, tags: ['a'] }, () => 5)
const d: undefined = sse('publish', {}, () => undefined)
service(`credits.${anything}`, id, () => {})
ext('s3', `get_${anything}`, { id: 4, size: undefined }, () => {})
interface Clip {
  clip_file_uuid: string
  size: number
}
service('clips.cut', {} as Clip, () => {})
usage({ input_tokens: 5, output_tokens: undefined })
export const used = [a, b, c, d]

// @ts-expect-error a result is not changed
export const wrong: string = service('credits.reserve', id, () => 5)
// @ts-expect-error no module
service('reserve', id, () => {})
// @ts-expect-error no method
service('credits.', id, () => {})
// @ts-expect-error camelCase
service('credits.reserveAll', id, () => {})
// @ts-expect-error two dots
service('billing.credits.reserve', id, () => {})
// @ts-expect-error not a word
service('credits.reserve all', id, () => {})
// @ts-expect-error could be anything, also an id
service(anything, id, () => {})
// @ts-expect-error no identifier
service('credits.reserve', { amount: 5 }, () => {})
// @ts-expect-error no identifier
service('credits.reserve', {}, () => {})
// @ts-expect-error perhaps no identifier
service('credits.reserve', maybe, () => {})
// @ts-expect-error not an attribute
service('credits.reserve', { user_id: { nested: 1 } }, () => {})
// @ts-expect-error no identifier
ext('whisper', 'transcribe', { seconds: 5 }, () => {})
// @ts-expect-error not a word
ext('Whisper', 'transcribe', id, () => {})
// @ts-expect-error not a word
ext('whisper', 'transcribe.clip', id, () => {})
// @ts-expect-error could be anything
ext(anything, 'transcribe', id, () => {})
// @ts-expect-error not a word
sse('2nd', {}, () => {})
// @ts-expect-error amounts are numbers
usage({ input_tokens: '5' })
// @ts-expect-error nothing to run
service('credits.reserve', id)
