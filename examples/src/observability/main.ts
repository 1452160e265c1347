/**
 * `pnpm --filter examples observability`: serves WebSockets at ws://127.0.0.1:8080 and metrics at http://127.0.0.1:9464/metrics, and sends spans to
 * `OTEL_EXPORTER_OTLP_ENDPOINT`, by default http://127.0.0.1:4318. `dashboard.json` is for Grafana.
 */
import { NodeWebSocketServer } from "@effect-websocket/platform/node"
import { NodeRuntime } from "@effect/platform-node"
import { Config, Effect, Layer } from "effect"
import { Echo } from "./Echo.js"
import { layer } from "./Observability.js"

const Observability = Layer.unwrapEffect(
  Effect.map(
    Config.string("OTEL_EXPORTER_OTLP_ENDPOINT").pipe(Config.withDefault("http://127.0.0.1:4318")),
    (otlpUrl) => layer({ otlpUrl, metricsPort: 9464 })
  )
)

const Main = Echo.pipe(Layer.provide(NodeWebSocketServer.layer({ port: 8080 })), Layer.provide(Observability))

NodeRuntime.runMain(Layer.launch(Main))
