import * as Data from "effect/Data"

const reasons = [
  "InvalidName",
  "Denied",
  "TooManyTopics",
  "AlreadyAttached",
  "Detached",
  "TooFast",
  "TooSlow",
  "TooLarge",
  "Unavailable"
] as const

export type TopicErrorReason = (typeof reasons)[number]

export const isReason = (reason: string): reason is TopicErrorReason => reasons.some((each) => each === reason)

/** See `TopicBroker.TopicError`. */
export class TopicError extends Data.TaggedError("Topic_error")<{
  readonly reason: TopicErrorReason
  readonly topic: string
  readonly max?: number | undefined
  readonly cause?: unknown
}> {
  override get message(): string {
    const topic = JSON.stringify(this.topic)
    switch (this.reason) {
      case "InvalidName":
        return `${topic} cannot be the name of a topic: ${String(this.cause)}`
      case "Denied":
        return `The topic ${topic} is not allowed here`
      case "TooManyTopics":
        return `The topic ${topic} is one too many; the limit is ${this.max}`
      case "AlreadyAttached":
        return `The connection is attached to the topic ${topic} already`
      case "Detached":
        return `The connection was detached from the topic ${topic} before it was attached`
      case "TooFast":
        return `The publication to ${topic} exceeds the rate of its connection`
      case "TooSlow":
        return `The subscriber of ${topic} reads too slowly; \`maxWaitingBytes\` allows ${this.max} bytes`
      case "TooLarge":
        return `What was sent to the topic ${topic} is too large; the limit is ${this.max}`
      case "Unavailable":
        return `The broker failed for the topic ${topic}: ${reasonOf(this.cause)}`
    }
  }
}

export const tooLarge = (topic: string, max: number): TopicError => new TopicError({ reason: "TooLarge", topic, max })

const reasonOf = (cause: unknown): string => {
  // Of a host with several addresses.
  if (cause instanceof AggregateError && cause.message === "") return cause.errors.map(reasonOf).join("; ")
  if (cause instanceof Error) return cause.message
  try {
    return String(cause)
  } catch {
    return "no reason can be shown"
  }
}
