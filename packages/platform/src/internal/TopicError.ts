import * as Data from "effect/Data"

export type TopicErrorReason =
  | "InvalidName"
  | "Denied"
  | "TooManyTopics"
  | "AlreadyAttached"
  | "Detached"
  | "TooFast"
  | "TooSlow"
  | "TooLarge"
  | "Unavailable"

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
        return `The publication to ${topic} is too large; the broker takes at most ${this.max} bytes`
      case "Unavailable":
        return `The broker failed for the topic ${topic}: ${this.cause instanceof Error ? this.cause.message : String(this.cause)}`
    }
  }
}
