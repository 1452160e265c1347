import { Exit, Layer, Option, Tracer } from "effect"

export * from "effect/Tracer"

/** A tracer that passes on everything that it is told. */
export const telling = (tell: (value: unknown) => void): Tracer.Tracer =>
  Tracer.make({
    span: (name, parent, context, links, startTime, kind) => {
      tell(name)
      return {
        _tag: "Span",
        name,
        spanId: "span",
        traceId: "trace",
        parent,
        context,
        status: { _tag: "Started", startTime },
        attributes: new Map(),
        links,
        sampled: true,
        kind,
        end: (_time, exit) => tell(exit),
        attribute: (key, value) => tell([key, value]),
        event: (event, _time, attributes) => tell([event, attributes]),
        addLinks: tell
      }
    },
    context: (run) => run()
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
  Layer.setTracer(
    Tracer.make({
      span: (name, parent, context, links, startTime, kind) => {
        const recorded: Recorded = {
          name,
          kind,
          spanId: (++lastSpan).toString(16).padStart(16, "0"),
          traceId: Option.match(parent, {
            onNone: () => lastSpan.toString(16).padStart(32, "0"),
            onSome: ({ traceId }) => traceId
          }),
          parent: Option.getOrUndefined(parent)?.spanId,
          links: links.map(({ span }) => span.spanId),
          attributes: {},
          events: [],
          ended: undefined
        }
        record(recorded)
        return {
          ...recorded,
          _tag: "Span",
          parent,
          context,
          links,
          kind,
          status: { _tag: "Started", startTime },
          attributes: new Map(),
          sampled: true,
          end: (_time, exit) => {
            recorded.ended = Exit.isSuccess(exit) ? "success" : "failure"
          },
          attribute: (key, value) => {
            recorded.attributes[key] = value
          },
          event: (event, _time, attributes) => recorded.events.push([event, attributes]),
          addLinks: () => {}
        }
      },
      context: (run) => run()
    })
  )
