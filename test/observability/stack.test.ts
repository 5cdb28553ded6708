// The stack's configuration: Prometheus and Alertmanager by their own tools, and Tempo, Loki, Vector and Grafana's
// provisioning by schemas of our own and by what each must say for the others to find it.
import { execFile } from 'node:child_process'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { Ajv2020 } from 'ajv/dist/2020.js'
import { describe, expect, it, onTestFinished } from 'vitest'
import { parse } from 'yaml'
import { amtool, promtool } from '../../scripts/prometheus/index.ts'
import { ROOT } from '../support/staged.ts'
import { DATASOURCES, LOKI, PROVIDERS, TEMPO, VECTOR, VECTOR_TESTS } from './schemas.ts'
import { demo, stack, textOf, yamlOf } from './stack-files.ts'

const run = promisify(execFile)

describe('Prometheus', () => {
  interface Prometheus {
    readonly rule_files: readonly string[]
    readonly scrape_configs: readonly {
      readonly job_name: string
      readonly static_configs: readonly { readonly targets: readonly string[] }[]
    }[]
    readonly storage: { readonly exemplars: object }
    readonly alerting: object
  }
  const config = yamlOf<Prometheus>('observability/prometheus/prometheus.yml')

  it('takes its configuration, with the rules beside it', async () => {
    const { stdout } = await run(await promtool(), [
      'check',
      'config',
      join(ROOT, 'observability/prometheus/prometheus.yml'),
    ])
    expect(stdout).toContain('is valid prometheus config file syntax')
  })

  it('keeps exemplars', () => {
    expect(stack.services.prometheus?.command).toContain('--enable-feature=exemplar-storage')
    expect(config.storage.exemplars).toBeDefined()
  })

  it('scrapes each process of the demo as a job of its own, by the names that compose gives', () => {
    const targets = config.scrape_configs.flatMap(({ static_configs }) =>
      static_configs.flatMap(({ targets: all }) => all),
    )
    const processes = Object.entries(demo.services).filter(([, { build }]) => build !== undefined)
    expect(targets.sort()).toEqual(processes.map(([name]) => `${name}:9464`).sort())
    expect(new Set(config.scrape_configs.map(({ job_name }) => job_name)).size).toBe(processes.length)
    expect(config.alerting).toEqual({ alertmanagers: [{ static_configs: [{ targets: ['alertmanager:9093'] }] }] })
  })
})

describe('Alertmanager', () => {
  const file = 'observability/alertmanager/alertmanager.yml'

  it('takes its configuration', async () => {
    const { stdout } = await run(await amtool(), ['check-config', join(ROOT, file)])
    expect(stdout).toContain('SUCCESS')
  })

  it('takes it with Slack, e-mail, PagerDuty and Discord, when their # are taken away', async () => {
    const directory = mkdtempSync(join(tmpdir(), 'taskspan-alertmanager-'))
    onTestFinished(() => rmSync(directory, { recursive: true }))
    const text = textOf(file).replaceAll(/^( *)# /gm, '$1')
    const config = parse(text) as { global: object; receivers: readonly object[] }
    const kinds = new Set(config.receivers.flatMap((receiver) => Object.keys(receiver)))
    expect([...kinds].sort()).toEqual([
      'discord_configs',
      'email_configs',
      'name',
      'pagerduty_configs',
      'slack_configs',
    ])
    expect(config.global).toHaveProperty('smtp_smarthost')
    const path = join(directory, 'alertmanager.yml')
    writeFileSync(path, text)
    const { stdout } = await run(await amtool(), ['check-config', path])
    expect(stdout).toContain('3 receivers')
  })

  it('sends what is critical to those on call, and shows the rest to the team', async () => {
    const tool = await amtool()
    const route = async (...labels: string[]) =>
      (await run(tool, ['config', 'routes', 'test', `--config.file=${join(ROOT, file)}`, ...labels])).stdout.trim()
    expect(await route('alertname=WorkerStuck', 'severity=critical')).toBe('on-call')
    expect(await route('alertname=QueueBacklogHigh', 'severity=warning')).toBe('team')
    expect(await route('alertname=PipelineStepFailing', 'severity=info')).toBe('nobody')
  })
})

describe('Grafana', () => {
  interface Source {
    readonly uid: string
    readonly type: string
    readonly url: string
    readonly jsonData: Readonly<Record<string, unknown>>
  }
  const { datasources } = yamlOf<{ datasources: readonly Source[] }>(
    'observability/grafana/provisioning/datasources/datasources.yaml',
  )
  const source = (uid: string): Source => datasources.find((each) => each.uid === uid) as Source

  it('has the three data sources that the dashboards name, at the addresses that compose gives', () => {
    expect(datasources.map(({ uid, type }) => [uid, type])).toEqual([
      ['prometheus', 'prometheus'],
      ['tempo', 'tempo'],
      ['loki', 'loki'],
    ])
    expect(source('prometheus').url).toBe('http://prometheus:9090')
    expect(source('loki').url).toBe('http://loki:3100')
    expect(source('tempo').url).toBe('$TEMPO_URL')
    expect(stack.services.grafana?.environment?.TEMPO_URL).toBe(
      `http://$${'{TEMPO_HOST:-tempo}'}:$${'{TEMPO_PORT:-3200}'}`,
    )
  })

  it('leads from an exemplar to its trace, from a trace to its logs, and back', () => {
    expect(source('prometheus').jsonData.exemplarTraceIdDestinations).toMatchObject([
      { name: 'trace_id', datasourceUid: 'tempo' },
    ])
    expect(source('tempo').jsonData.tracesToLogsV2).toMatchObject({ datasourceUid: 'loki', customQuery: true })
    expect(JSON.stringify(source('tempo').jsonData.tracesToLogsV2)).toContain('$${__trace.traceId}')
    const [field] = source('loki').jsonData.derivedFields as {
      matcherRegex: string
      datasourceUid: string
      url: string
    }[]
    expect(field).toMatchObject({ datasourceUid: 'tempo', url: '$${__value.raw}' })
    const trace = '4db45fffbafb08773229a78af764c4ff'
    expect(new RegExp(field?.matcherRegex ?? '').exec(`{"level":"info","trace_id":"${trace}"}`)?.[1]).toBe(trace)
  })

  it('finds the dashboards where compose puts them', () => {
    const { providers } = yamlOf<{ providers: readonly { options: { path: string } }[] }>(
      'observability/grafana/provisioning/dashboards/dashboards.yaml',
    )
    const mounted = stack.services.grafana?.volumes?.map((volume) => volume.split(':')[1])
    for (const { options } of providers) expect(mounted).toContain(options.path)
  })
})

describe('by schema', () => {
  const ajv = new Ajv2020({ strict: false, allErrors: true })

  it.each([
    ['tempo/tempo.yaml', TEMPO],
    ['loki/loki.yaml', LOKI],
    ['vector/vector.yaml', VECTOR],
    ['vector/tests.yaml', VECTOR_TESTS],
    ['grafana/provisioning/datasources/datasources.yaml', DATASOURCES],
    ['grafana/provisioning/dashboards/dashboards.yaml', PROVIDERS],
  ])('%s says only what its reader knows', (file, schema) => {
    const validate = ajv.compile(schema)
    validate(yamlOf(join('observability', file)))
    expect(validate.errors ?? []).toEqual([])
  })
})

describe('Tempo and Loki', () => {
  it('Tempo listens on the ports that compose publishes, and keeps spans of every kind for its metrics', () => {
    const tempo = textOf('observability/tempo/tempo.yaml')
    for (const variable of ['TEMPO_PORT:-3200', 'TEMPO_GRPC_PORT:-4317', 'TEMPO_HTTP_PORT:-4318']) {
      expect(tempo).toContain(`\${${variable}}`)
      expect(stack.services.tempo?.ports).toContain(`127.0.0.1:\${${variable}}:\${${variable}}`)
    }
    expect(stack.services.tempo?.command).toContain('-config.expand-env=true')
    expect(parse(tempo)).toMatchObject({
      metrics_generator: { processor: { local_blocks: { filter_server_spans: false } } },
      overrides: { defaults: { metrics_generator: { processors: ['local-blocks'] } } },
    })
  })

  it('Loki adds no labels of its own, and keeps what it is given on its volume', () => {
    const loki = yamlOf<object>('observability/loki/loki.yaml')
    expect(loki).toMatchObject({
      limits_config: { discover_service_name: [], discover_log_levels: false },
      common: { path_prefix: '/loki' },
      server: { http_listen_port: 3100 },
    })
    expect(stack.services.loki?.volumes).toContain('loki:/loki')
  })
})
