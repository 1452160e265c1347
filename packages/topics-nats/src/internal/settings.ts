import type * as TopicBroker from "@effect-websocket/platform/TopicBroker"
import type { NodeConnectionOptions } from "@nats-io/transport-node"
import * as Duration from "effect/Duration"

export type ClientOptions = Pick<
  NodeConnectionOptions,
  "servers" | "port" | "user" | "pass" | "token" | "authenticator" | "tls" | "name" | "inboxPrefix" | "noRandomize"
>

/** The inputs that are accepted as a duration, by the Effect that is installed. */
export type DurationInput = Parameters<TopicBroker.Presence["set"]>[2]

/** What a connection needs. Durations are in milliseconds. */
export interface LinkSettings {
  readonly client: ClientOptions
  /** How long a connection or a reply is waited for. */
  readonly timeout: number
  /** How often the server is asked whether it is there. */
  readonly heartbeat: number
}

/** What the streams are made with. Durations are in milliseconds. */
export interface StreamSettings {
  readonly prefix: string
  readonly replicas: number
  readonly maxPublications: number
  readonly maxBytes: number
  readonly maxAge: number
  readonly maxKeyAge: number
  readonly unusedAge: number
  readonly maxExpiry: number
}

export type Settings = LinkSettings & StreamSettings

/** A duration in whole milliseconds, from `min` to `max`. */
export const millis = (name: string, input: DurationInput, min = 1, max = Number.MAX_SAFE_INTEGER): number => {
  const value = Math.ceil(Duration.toMillis(input))
  if (value >= min && value <= max) return value
  const bounds = max === Number.MAX_SAFE_INTEGER ? `finite, and at least ${min} ms` : `from ${min} to ${max} ms`
  throw new RangeError(`${name} must be ${bounds}, but is ${String(input)}`)
}

/** An integer from `min` to `max`. */
export const integer = (name: string, value: number, min: number, max = Number.MAX_SAFE_INTEGER): number => {
  if (Number.isSafeInteger(value) && value >= min && value <= max) return value
  const bounds = max === Number.MAX_SAFE_INTEGER ? `from ${min}` : `from ${min} to ${max}`
  throw new RangeError(`${name} must be an integer ${bounds}, but is ${value}`)
}

/** A token of a subject that is part of the name of a stream, too. */
export const token = (name: string, value: string): string => {
  if (/^[\w-]+$/.test(value)) return value
  throw new RangeError(`${name} must have letters, digits, - and _ only, but is ${value}`)
}

/** The longest delay of a timer. */
const maxDelay = 2 ** 31 - 1
export const delay = (millis: number): number => Math.min(maxDelay, Math.max(1, Math.ceil(millis)))
