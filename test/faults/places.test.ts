// Each place of the table has a file of tests: a new one must not go untried.
import { existsSync } from 'node:fs'
import { expect, it } from 'vitest'
import type { Place } from './fault.ts'
import { FAULTS } from './faults.ts'

const fileOf = (place: Place): URL => new URL(`${place.toLowerCase().replace(' ', '-')}.test.ts`, import.meta.url)

it('every place has its file', () => {
  const places = new Set(FAULTS.flatMap((fault) => fault.places))
  expect([...places].filter((place) => !existsSync(fileOf(place)))).toEqual([])
})
