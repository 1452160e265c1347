import { AckPolicy, DeliverPolicy, type ConsumerConfig } from "@nats-io/jetstream"
import { nanos, type Msg } from "@nats-io/transport-node"
import type { NatsLink, Session } from "./NatsLink.js"

/** A message of a stream. */
export interface Stored {
  readonly message: Msg
  /** The number of the message in its stream. */
  readonly sequence: number
  /** How long it had been in the stream when it was read, in milliseconds, on the clock of the server. */
  readonly age: number
}

/** Where to begin, and what to leave out. */
export type Selection = Pick<ConsumerConfig, "opt_start_seq" | "filter_subject">

// How long the server keeps a consumer that nobody listens to any more, in milliseconds.
const leftover = 1_000

/**
 * Reads the messages that are in a stream now, oldest first, at most `limit`. It is a consumer that ends with this, because
 * servers before 2.11 cannot be asked for several messages at once.
 */
export const readStream = async (
  link: NatsLink,
  { jsm, nc }: Session,
  stream: string,
  selection: Selection,
  limit: number
): Promise<ReadonlyArray<Stored>> => {
  const messages: Array<Msg> = []
  let finish = (): void => {}
  let fail = (_cause: unknown): void => {}
  const finished = new Promise<void>((resolve, reject) => {
    finish = resolve
    fail = reject
  })
  // It may fail while the consumer is made.
  finished.catch(() => {})
  const inbox = link.inbox()
  const subscription = nc.subscribe(inbox, {
    callback: (failure, message) => {
      if (failure !== null) {
        fail(failure)
        return
      }
      if (messages.push(message) >= limit || deliveryOf(message).pending === 0) finish()
    }
  })
  // The server sends no more than that.
  if (Number.isFinite(limit)) subscription.unsubscribe(limit)
  const timer = setTimeout(() => fail(link.noAnswer()), link.timeout)
  try {
    const { created, delivered, num_pending } = await jsm.consumers.add(stream, {
      ...selection,
      deliver_policy: selection.opt_start_seq === undefined ? DeliverPolicy.All : DeliverPolicy.StartSequence,
      deliver_subject: inbox,
      ack_policy: AckPolicy.None,
      mem_storage: true,
      num_replicas: 1,
      inactive_threshold: nanos(leftover)
    })
    if (num_pending > 0 || delivered.consumer_seq > 0) await finished
    const now = Date.parse(created)
    return messages.slice(0, limit).map((message) => {
      const { sequence, time } = deliveryOf(message)
      return { message, sequence, age: now - time }
    })
  } finally {
    clearTimeout(timer)
    subscription.unsubscribe()
  }
}

/** What the server says of a message of a stream in its reply subject. */
const deliveryOf = (message: Msg): { readonly sequence: number; readonly time: number; readonly pending: number } => {
  const tokens = message.reply?.split(".") ?? []
  // Later servers put the domain and the account in front.
  const start = tokens.length < 11 ? 5 : 7
  return {
    sequence: Number(tokens[start]),
    time: Number(tokens[start + 2]) / 1_000_000,
    pending: Number(tokens[start + 3])
  }
}
