// What your own tests need: recorded spans, metrics and log lines, a broker in memory, a replay of recorded messages.
// Needs the optional peer @opentelemetry/sdk-trace-node.
export { type Delivery, type FakeBroker, type FakeMessage, fakeBroker, type Outgoing } from './testing/broker.ts'
export { type LogLine, type LogRecorder, recordLogs } from './testing/logs.ts'
export { type MetricRecorder, recordMetrics, type Series } from './testing/metrics.ts'
export { type Replay, type ReplayOptions, replay } from './testing/replay.ts'
export { type RecordedSpan, recordSpans, type SpanRecorder } from './testing/spans.ts'
export { type WaterfallOptions, type WaterfallSpan, waterfall } from './waterfall.ts'
