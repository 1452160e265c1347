import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Option from "effect/Option"
import type * as TopicBroker from "../TopicBroker.js"
import { findErrorOption, hasInterruptsOnly } from "./effect.js"
import type { Metering } from "./Metering.js"

/** A broker whose publishes, and whose publications on their way to the members, are measured. */
export const meteredBroker = (broker: TopicBroker.Service, metering: Metering): TopicBroker.Service => ({
  ...broker,
  publish: (topic, message, options) =>
    Effect.suspend(() => {
      const start = metering.timers.now
      return Effect.onExit(broker.publish(topic, message, options), (exit) =>
        Effect.sync(() => metering.published(metering.timers.now - start, errorTypeOf(exit)))
      )
    }),
  subscribe: (topic, listener) =>
    broker.subscribe(topic, (event) => {
      if (event._tag === "Interrupted") return listener(event)
      const start = metering.timers.now
      listener(event)
      metering.fannedOut(metering.timers.now - start)
    })
})

const errorTypeOf = (exit: Exit.Exit<unknown, TopicBroker.TopicError>): string | undefined => {
  if (Exit.isSuccess(exit)) return undefined
  const failure = Option.getOrUndefined(findErrorOption(exit.cause))
  return failure?.reason ?? (hasInterruptsOnly(exit.cause) ? "interrupted" : "defect")
}
