import { WebSocketMetrics, WebSocketTracing } from "@effect-websocket/platform"
import * as Metrics from "@effect/opentelemetry/Metrics"
import * as OtlpSerialization from "@effect/opentelemetry/OtlpSerialization"
import * as OtlpTracer from "@effect/opentelemetry/OtlpTracer"
import * as Resource from "@effect/opentelemetry/Resource"
import { FetchHttpClient } from "@effect/platform"
import { PrometheusExporter } from "@opentelemetry/exporter-prometheus"
import { Context, Effect, Layer } from "effect"
import { createServer } from "node:http"
import type { AddressInfo } from "node:net"

const serviceName = "echo"

/** The URL that Prometheus scrapes. */
export class Scraping extends Context.Tag("Scraping")<Scraping, { readonly url: string }>() {}

/** Serves the metrics to Prometheus at `/metrics`. A scrape reads the numbers of this moment. */
const prometheus = (port: number) =>
  Layer.unwrapScoped(
    Effect.gen(function* () {
      const { sample } = yield* WebSocketMetrics.WebSocketMetrics
      const exporter = new PrometheusExporter({ preventServerStart: true })
      const server = createServer((request, response) => {
        Effect.runSync(sample)
        exporter.getMetricsRequestHandler(request, response)
      })
      yield* Effect.acquireRelease(
        Effect.async<void>((resume) => {
          server.listen(port, "127.0.0.1", () => resume(Effect.void))
        }),
        () =>
          Effect.async<void>((resume) => {
            server.close(() => resume(Effect.void))
            server.closeAllConnections()
          })
      )
      const { port: actual } = server.address() as AddressInfo
      return Layer.mergeAll(
        Metrics.layer(() => exporter),
        Layer.succeed(Scraping, { url: `http://127.0.0.1:${actual}/metrics` })
      )
    })
  ).pipe(Layer.provide(Resource.layer({ serviceName })))

/** Sends spans to a collector by OTLP over HTTP. */
const otlp = (url: string) =>
  OtlpTracer.layer({ url: `${url}/v1/traces`, resource: { serviceName }, exportInterval: "1 second" }).pipe(
    Layer.provide(OtlpSerialization.layerJson),
    Layer.provide(FetchHttpClient.layer)
  )

/** Metrics for Prometheus and spans for a collector, for everything that it is provided to. */
export const layer = (options: { readonly otlpUrl: string; readonly metricsPort: number }) =>
  Layer.mergeAll(prometheus(options.metricsPort), otlp(options.otlpUrl), WebSocketTracing.layer).pipe(
    Layer.provideMerge(WebSocketMetrics.layer)
  )
