// A run's input, checked by any Standard Schema: zod, valibot, arktype, …
import { TaskspanError } from '../kernel/errors.ts'

/**
 * What a validator has to have; the part of Standard Schema that is used here.
 *
 * @see https://standardschema.dev
 */
export interface StandardSchema<Input = unknown, Output = Input> {
  readonly '~standard': {
    readonly version: 1
    readonly vendor: string
    readonly validate: (value: unknown) => StandardResult<Output> | Promise<StandardResult<Output>>
    readonly types?: { readonly input: Input; readonly output: Output } | undefined
  }
}

export type StandardResult<Output> =
  | { readonly value: Output; readonly issues?: undefined }
  | { readonly issues: readonly StandardIssue[] }

export interface StandardIssue {
  readonly message: string
  readonly path?: readonly (PropertyKey | { readonly key: PropertyKey })[] | undefined
}

export type InferInput<S extends StandardSchema> = NonNullable<S['~standard']['types']>['input']
export type InferOutput<S extends StandardSchema> = NonNullable<S['~standard']['types']>['output']

const MAX_ISSUES = 10

/** The input as the schema gives it. @throws {TaskspanError} `INVALID_INPUT`, with the issues but not the value */
export async function validated(pipeline: string, schema: StandardSchema, input: unknown): Promise<unknown> {
  const result = await schema['~standard'].validate(input)
  if (!result.issues) return result.value // the standard: any falsy value means that there are none
  const issues = result.issues.slice(0, MAX_ISSUES).map(({ message, path = [] }) => {
    const keys = path.map((part) => String(typeof part === 'object' ? part.key : part)).join('.')
    return keys === '' ? message : `${keys}: ${message}`
  })
  const more = result.issues.length - issues.length
  const list = issues.join('; ').slice(0, 1_000)
  throw new TaskspanError('INVALID_INPUT', `pipeline '${pipeline}': ${list}${more > 0 ? `; and ${more} more` : ''}.`)
}
