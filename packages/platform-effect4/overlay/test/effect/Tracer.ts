import { Tracer } from "effect"

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
