/** Shared by all measured processes: their options, and the usage report that the parent asks for. */
import { parseArgs } from "node:util"

const { values } = parseArgs({
  options: {
    // Whether a message is sent back, or to all connections.
    broadcast: { type: "boolean", default: false },
    // Connections join this many topics, each one topic. A message is published to all of them.
    topics: { type: "string", default: "0" },
    compression: { type: "boolean", default: false },
    // Whether this library compresses with `minizlib`.
    minizlib: { type: "boolean", default: false },
    // Messages are parsed and made again.
    parse: { type: "boolean", default: false },
    // Effect 4 compiles its schemas.
    compile: { type: "boolean", default: false },
    // The socket of a Redis server that carries the topics.
    redis: { type: "string" },
    // Connections publish, but do not join a topic.
    publisher: { type: "boolean", default: false },
    heartbeat: { type: "boolean", default: false },
    // Connections are opened and closed.
    closing: { type: "boolean", default: false },
    // Clients echo on this number of connections.
    echo: { type: "boolean", default: false },
    connections: { type: "string", default: "1" },
    // How the messages are read, if there is a choice.
    api: { type: "string", default: "run" },
    // This library's metrics and spans are on.
    observed: { type: "boolean", default: false },
    // This library's server reads into one shared buffer.
    "read-buffer": { type: "boolean", default: false },
    "max-message-bytes": { type: "string", default: String(1024 * 1024) }
  }
})

export const options = {
  ...values,
  connections: Number(values.connections),
  /** The names of the topics. */
  topics: Array.from({ length: Number(values.topics) }, (_, index) => `topics/${index}`),
  maxMessageBytes: Number(values["max-message-bytes"])
}

let joined = 0

/** The topic of the next connection. */
export const nextTopic = (): string => options.topics[joined++ % options.topics.length] ?? ""

let rooms = 0

/** Names of topics that no connection has joined yet. */
const newTopics = (count: number): ReadonlyArray<string> => Array.from({ length: count }, () => `rooms/${rooms++}`)

const isJoin = (message: unknown): message is { readonly join: number } =>
  typeof message === "object" && message !== null && "join" in message

/**
 * Sends the port to the parent. Answers `"usage"` with the usage of the process so far, and `"idle"` with it after a
 * garbage collection. For `{ join }`, all connections join that many new topics first.
 */
export const serve = (port: number, join: (topics: ReadonlyArray<string>) => Promise<void> | void = () => {}): void => {
  const answer = async (message: unknown) => {
    if (isJoin(message)) await join(newTopics(message.join))
    if (message === "idle") collect()
    process.send?.(usage())
  }
  process.on("message", (message) => void answer(message))
  process.on("disconnect", () => process.exit())
  process.send?.({ port })
}

/** CPU time in microseconds, and bytes. */
export const usage = () => {
  const { system, user } = process.cpuUsage()
  const { external, heapUsed, rss } = process.memoryUsage()
  return { cpu: user + system, heap: heapUsed, external, resident: rss }
}

const collect = (): void => {
  for (let i = 0; i < 4; i++) globalThis.gc?.()
}
