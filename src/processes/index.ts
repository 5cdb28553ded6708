// Many processes, one telemetry: what runs in a child is told in its parent.
export { sandboxed } from './sandboxed.ts'
