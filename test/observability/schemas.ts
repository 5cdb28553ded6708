// Schemas of what the stack's files may say, after the references of the versions that compose pins: no vendor of these
// publishes one. A key that is misspelt, unknown or of a wrong type is found; whether the whole does what is meant is not.
type Schema = Readonly<Record<string, unknown>>

/** These keys and no others; those with `?` may be left out. */
function exactly(keys: Readonly<Record<string, Schema>>): Schema {
  const properties = Object.fromEntries(Object.entries(keys).map(([key, schema]) => [key.replace('?', ''), schema]))
  const required = Object.keys(keys).filter((key) => !key.endsWith('?'))
  return { type: 'object', properties, required, additionalProperties: false }
}

const text: Schema = { type: 'string', minLength: 1 }
const flag: Schema = { type: 'boolean' }
const port: Schema = { type: 'integer', minimum: 1, maximum: 65_535 }
const duration: Schema = { type: 'string', pattern: '^-?\\d+(ms|s|m|h)$' }
const path: Schema = { type: 'string', pattern: '^/' }
const url: Schema = { type: 'string', pattern: '^(http://[a-z]+:\\d+|\\$[A-Z_]+)$' }
const oneOf = (...words: string[]): Schema => ({ enum: words })
const listOf = (items: Schema, minItems = 1): Schema => ({ type: 'array', items, minItems })
const mapOf = (values: Schema): Schema => ({ type: 'object', additionalProperties: values, minProperties: 1 })
/** `0.0.0.0:${TEMPO_GRPC_PORT:-4317}`, or the port alone. */
const expanded: Schema = { type: 'string', pattern: '^(0\\.0\\.0\\.0:)?\\$\\{[A-Z_]+:-\\d+\\}$' }
const receiver = exactly({ endpoint: expanded })

export const TEMPO = exactly({
  server: exactly({ http_listen_port: expanded }),
  distributor: exactly({
    receivers: exactly({ otlp: exactly({ protocols: exactly({ grpc: receiver, http: receiver }) }) }),
  }),
  storage: exactly({
    trace: exactly({ backend: oneOf('local'), wal: exactly({ path }), local: exactly({ path }) }),
  }),
  compactor: exactly({ compaction: exactly({ block_retention: duration }) }),
  metrics_generator: exactly({
    storage: exactly({ path }),
    traces_storage: exactly({ path }),
    processor: exactly({ local_blocks: exactly({ filter_server_spans: flag, flush_to_storage: flag }) }),
  }),
  query_frontend: exactly({ metrics: exactly({ max_duration: duration }) }),
  overrides: exactly({
    defaults: exactly({
      metrics_generator: exactly({ processors: listOf(oneOf('service-graphs', 'span-metrics', 'local-blocks')) }),
    }),
  }),
  usage_report: exactly({ reporting_enabled: flag }),
})

export const LOKI = exactly({
  auth_enabled: flag,
  server: exactly({ http_listen_port: port }),
  common: exactly({
    instance_addr: text,
    path_prefix: path,
    replication_factor: { const: 1 },
    ring: exactly({ kvstore: exactly({ store: oneOf('inmemory') }) }),
    storage: exactly({ filesystem: exactly({ chunks_directory: path, rules_directory: path }) }),
  }),
  schema_config: exactly({
    configs: listOf(
      exactly({
        from: { type: 'string', pattern: '^\\d{4}-\\d\\d-\\d\\d$' },
        store: oneOf('tsdb'),
        object_store: oneOf('filesystem'),
        schema: oneOf('v13'),
        index: exactly({ prefix: text, period: oneOf('24h') }),
      }),
    ),
  }),
  limits_config: exactly({
    retention_period: duration,
    discover_service_name: listOf(text, 0),
    discover_log_levels: flag,
    reject_old_samples: flag,
  }),
  compactor: exactly({ working_directory: path, retention_enabled: flag, delete_request_store: oneOf('filesystem') }),
  analytics: exactly({ reporting_enabled: flag }),
})

const inputs = listOf(text)
export const VECTOR = exactly({
  data_dir: path,
  sources: mapOf({
    oneOf: [
      exactly({ type: oneOf('docker_logs'), include_labels: listOf(text) }),
      exactly({
        type: oneOf('http_server'),
        address: { type: 'string', pattern: '^0\\.0\\.0\\.0:\\d+$' },
        framing: exactly({ method: oneOf('newline_delimited') }),
        decoding: exactly({ codec: oneOf('bytes', 'json') }),
      }),
    ],
  }),
  transforms: mapOf(exactly({ type: oneOf('remap'), inputs, source: text })),
  sinks: mapOf(
    exactly({
      type: oneOf('loki'),
      inputs,
      endpoint: url,
      encoding: exactly({ codec: oneOf('json') }),
      labels: mapOf({ type: 'string', pattern: '^\\{\\{ \\w+ \\}\\}$' }),
      remove_timestamp: flag,
      out_of_order_action: oneOf('accept', 'drop', 'rewrite_timestamp'),
      compression: oneOf('gzip', 'snappy', 'none'),
    }),
  ),
})

const insertion = exactly({
  insert_at: text,
  type: oneOf('log'),
  log_fields: exactly({ message: text, 'label?': mapOf(text) }),
})
export const VECTOR_TESTS = exactly({
  tests: listOf(
    exactly({
      name: text,
      inputs: listOf(insertion),
      outputs: listOf(
        exactly({ extract_from: text, conditions: listOf(exactly({ type: oneOf('vrl'), source: text })) }),
      ),
    }),
  ),
})

const datasource = (type: string, jsonData: Schema): Schema =>
  exactly({
    name: text,
    uid: oneOf(type),
    type: oneOf(type),
    access: oneOf('proxy'),
    url,
    'isDefault?': flag,
    jsonData,
  })
const destination = { datasourceUid: oneOf('tempo'), urlDisplayLabel: text }

export const DATASOURCES = exactly({
  apiVersion: { const: 1 },
  datasources: {
    type: 'array',
    prefixItems: [
      datasource(
        'prometheus',
        exactly({
          timeInterval: duration,
          httpMethod: oneOf('POST', 'GET'),
          exemplarTraceIdDestinations: listOf(exactly({ name: text, ...destination })),
        }),
      ),
      datasource(
        'tempo',
        exactly({
          tracesToLogsV2: exactly({
            datasourceUid: oneOf('loki'),
            spanStartTimeShift: duration,
            spanEndTimeShift: duration,
            customQuery: { const: true },
            query: text,
          }),
          nodeGraph: exactly({ enabled: flag }),
        }),
      ),
      datasource(
        'loki',
        exactly({ derivedFields: listOf(exactly({ name: text, matcherRegex: text, url: text, ...destination })) }),
      ),
    ],
    minItems: 3,
    maxItems: 3,
  },
})

export const PROVIDERS = exactly({
  apiVersion: { const: 1 },
  providers: listOf(
    exactly({
      name: text,
      type: oneOf('file'),
      folder: text,
      allowUiUpdates: flag,
      updateIntervalSeconds: { type: 'integer', minimum: 10 },
      options: exactly({ path }),
    }),
  ),
})
