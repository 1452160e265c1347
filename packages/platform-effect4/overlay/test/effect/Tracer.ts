import { Exit, Layer, Option, Tracer } from "effect"

export * from "effect/Tracer"

/** A tracer that passes on everything that it is told. */
export const telling = (tell: (value: unknown) => void): Tracer.Tracer =>
  Tracer.make({
    span: ({ startTime, ...span }) => {
      tell(span.name)
      return {
        ...span,
        _tag: "Span",
        spanId: "span",
        traceId: "trace",
        status: { _tag: "Started", startTime },
        attributes: new Map(),
        end: (_time, exit) => tell(exit),
        attribute: (key, value) => tell([key, value]),
        event: (event, _time, attributes) => tell([event, attributes]),
        addLinks: tell
      }
    }
  })

/** What a recording tracer knows of a span. */
export interface Recorded {
  readonly name: string
  readonly kind: string
  readonly spanId: string
  readonly traceId: string
  readonly parent: string | undefined
  readonly links: ReadonlyArray<string>
  readonly attributes: Record<string, unknown>
  readonly events: Array<readonly [name: string, attributes: Record<string, unknown> | undefined]>
  ended: "success" | "failure" | undefined
}

let lastSpan = 0

/** A tracer that records its spans from their beginning. */
export const recording = (record: (span: Recorded) => unknown): Layer.Layer<never> =>
  Layer.succeed(
    Tracer.Tracer,
    Tracer.make({
      span: ({ startTime, ...span }) => {
        const { kind, links, name } = span
        const parent = Option.getOrUndefined(span.parent)
        const recorded: Recorded = {
          name,
          kind,
          spanId: (++lastSpan).toString(16).padStart(16, "0"),
          traceId: parent?.traceId ?? lastSpan.toString(16).padStart(32, "0"),
          parent: parent?.spanId,
          links: links.map(({ span }) => span.spanId),
          attributes: {},
          events: [],
          ended: undefined
        }
        record(recorded)
        return {
          ...span,
          _tag: "Span",
          spanId: recorded.spanId,
          traceId: recorded.traceId,
          status: { _tag: "Started", startTime },
          attributes: new Map(),
          end: (_time, exit) => {
            recorded.ended = Exit.isSuccess(exit) ? "success" : "failure"
          },
          attribute: (key, value) => {
            recorded.attributes[key] = value
          },
          event: (event, _time, attributes) => recorded.events.push([event, attributes]),
          addLinks: () => {}
        }
      }
    })
  )
