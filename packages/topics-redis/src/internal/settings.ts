import type * as TopicBroker from "@effect-websocket/platform/TopicBroker"
import type { RedisClientOptions } from "@redis/client"
import * as Duration from "effect/Duration"

export type ClientOptions = Pick<
  RedisClientOptions,
  "url" | "socket" | "username" | "password" | "credentialsProvider" | "name" | "database"
>

/**
 * A connected client of `@redis/client` or `redis`. Only what the broker uses of it.
 */
export interface Client {
  readonly options?: ClientOptions | undefined
  readonly sendCommand: (
    args: ReadonlyArray<string | Buffer>,
    options: { readonly typeMapping: { readonly 36: typeof Buffer }; readonly timeout: number }
  ) => Promise<unknown>
}

/** How a client connects, without its other options. */
export const connectionOf = ({
  credentialsProvider,
  database,
  name,
  password,
  socket,
  url,
  username
}: ClientOptions): ClientOptions => ({
  ...(credentialsProvider && { credentialsProvider }),
  ...(database !== undefined && { database }),
  ...(name !== undefined && { name }),
  ...(password !== undefined && { password }),
  ...(socket && { socket }),
  ...(url !== undefined && { url }),
  ...(username !== undefined && { username })
})

/** The inputs that are accepted as a duration, by the Effect that is installed. */
export type DurationInput = Parameters<TopicBroker.Presence["set"]>[2]

/** What a connection needs. */
export interface LinkSettings {
  readonly client: ClientOptions
  /** How long an answer is waited for, in milliseconds. */
  readonly timeout: number
  /** How often the server is asked whether it is there, in milliseconds. */
  readonly heartbeat: number
}

/** What the scripts about topics get with each call. Durations are in milliseconds. */
export interface TopicSettings {
  readonly prefix: string
  readonly maxPublications: number
  readonly maxBytes: number
  readonly maxAge: number
  readonly maxKeys: number
  readonly maxKeyAge: number
  readonly unusedAge: number
}

export type Settings = LinkSettings & TopicSettings

/** A duration in whole milliseconds, at least 1. */
export const millis = (name: string, input: DurationInput): number => {
  const value = Math.ceil(Duration.toMillis(input))
  if (Number.isSafeInteger(value) && value > 0) return value
  throw new RangeError(`${name} must be a finite duration above zero, but is ${String(input)}`)
}

/** An integer of at least `min`. */
export const integer = (name: string, value: number, min: number): number => {
  if (Number.isSafeInteger(value) && value >= min) return value
  throw new RangeError(`${name} must be an integer from ${min}, but is ${value}`)
}

/** The longest delay of a timer. */
const maxDelay = 2 ** 31 - 1
export const delay = (millis: number): number => Math.min(maxDelay, Math.max(1, Math.ceil(millis)))
