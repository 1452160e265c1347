import { jetstreamManager, type JetStreamClient, type JetStreamManager } from "@nats-io/jetstream"
import {
  connect,
  createInbox,
  TimeoutError,
  type Msg,
  type NatsConnection,
  type Subscription
} from "@nats-io/transport-node"
import type { Outages } from "./Outages.js"
import type { LinkSettings } from "./settings.js"

/** A connection, and the API of JetStream over it. It ends when the connection breaks. */
export interface Session {
  readonly nc: NatsConnection
  readonly jsm: JetStreamManager
  readonly js: JetStreamClient
}

interface Waiter {
  readonly resolve: (session: Session) => void
  readonly reject: (cause: unknown) => void
}

const minDelay = 50
const maxDelay = 2_000

/**
 * One connection, made again whenever it breaks or the server does not answer. The client does not do this: it would keep what
 * could not be sent, and send it later.
 */
export class NatsLink {
  private readonly settings: LinkSettings
  private readonly outages: Outages
  private current: Session | undefined = undefined
  private hasEnded = false
  private failures = 0
  private lastCause: unknown = undefined
  // The next attempt, the next heartbeat, or the deadline of its reply.
  private timer: NodeJS.Timeout | undefined = undefined
  private readonly waiting = new Set<Waiter>()
  private readonly listenings = new Set<Listening>()

  constructor(settings: LinkSettings, outages: Outages) {
    this.settings = settings
    this.outages = outages
  }

  get timeout(): number {
    return this.settings.timeout
  }

  /** Connects. */
  start(): void {
    this.open().then(
      (session) => this.rise(session),
      (cause: unknown) => this.retry(cause)
    )
  }

  /** Ends the connection for good. Whatever waits for it fails. */
  end(): void {
    this.hasEnded = true
    this.lastCause = new Error("The broker has ended")
    this.drop()
    for (const { reject } of this.waiting) reject(this.lastCause)
  }

  /** The connection, once there is one. Fails if that takes longer than `timeout`. */
  session(): Promise<Session> {
    if (this.current !== undefined) return Promise.resolve(this.current)
    return new Promise((resolve, reject) => {
      if (this.hasEnded) {
        reject(this.lastCause)
        return
      }
      const timer = setTimeout(() => waiter.reject(this.explain(this.lastCause ?? this.noAnswer())), this.timeout)
      const done = (): void => {
        clearTimeout(timer)
        this.waiting.delete(waiter)
      }
      const waiter: Waiter = {
        resolve: (session) => {
          done()
          resolve(session)
        },
        reject: (cause) => {
          done()
          reject(cause)
        }
      }
      this.waiting.add(waiter)
    })
  }

  /**
   * Calls `receive` for the messages of a subject, until it is ended. Calls `resume` whenever this has begun again on another
   * connection, so that messages may be missing.
   */
  listen(subject: string, receive: (message: Msg) => void, resume: () => void): Listening {
    const listening = new Listening(this, subject, receive, resume)
    this.listenings.add(listening)
    if (this.current !== undefined) listening.begin(this.current)
    return listening
  }

  /** Whether this is the connection now. */
  isCurrent(session: Session | undefined): boolean {
    return session !== undefined && this.current === session
  }

  forget(listening: Listening): void {
    this.listenings.delete(listening)
  }

  /** Makes another connection in place of this one. */
  lose(session: Session, cause: unknown): void {
    if (this.current !== session) return
    this.drop()
    this.retry(cause)
  }

  /** An unused subject for replies. */
  inbox(): string {
    return createInbox(this.settings.client.inboxPrefix)
  }

  /** Says what the client calls a timeout. */
  explain(cause: unknown): unknown {
    return cause instanceof TimeoutError ? this.noAnswer() : cause
  }

  noAnswer(): Error {
    return new Error(`NATS did not answer within ${this.timeout} ms`)
  }

  private async open(): Promise<Session> {
    const { client, timeout } = this.settings
    const nc = await connect({ ...client, timeout, reconnect: false, noAsyncTraces: true })
    const jsm = await jetstreamManager(nc, { timeout, checkAPI: false })
    return { nc, jsm, js: jsm.jetstream() }
  }

  private rise(session: Session): void {
    if (this.hasEnded) {
      close(session)
      return
    }
    this.current = session
    this.failures = 0
    this.outages.find()
    session.nc.closed().then((cause) => this.lose(session, cause ?? new Error("The connection to NATS has ended")))
    const listenings = [...this.listenings]
    for (const listening of listenings) listening.begin(session)
    for (const { resolve } of this.waiting) resolve(session)
    this.test(session, () => {
      for (const listening of listenings) listening.resume()
    })
  }

  /** Asks the server for a sign, which it gives after everything that was sent before. */
  private test(session: Session, succeed: () => void): void {
    this.timer = setTimeout(() => this.lose(session, this.noAnswer()), this.timeout)
    const pass = (): void => {
      if (this.current !== session) return
      clearTimeout(this.timer)
      this.timer = setTimeout(() => this.test(session, () => {}), this.settings.heartbeat)
      succeed()
    }
    session.nc.flush().then(pass, (cause: unknown) => this.lose(session, cause))
  }

  private retry(cause: unknown): void {
    if (this.hasEnded) return
    this.lastCause = cause
    this.outages.lose(cause)
    const delay = Math.min(maxDelay, minDelay * 2 ** this.failures++)
    // Half of it at random, so that all processes do not come back at once.
    this.timer = setTimeout(() => this.start(), delay * (0.5 + Math.random() / 2))
  }

  private drop(): void {
    const session = this.current
    clearTimeout(this.timer)
    this.current = undefined
    if (session !== undefined) close(session)
  }
}

/** One subscription of the client after another. */
export class Listening {
  private readonly link: NatsLink
  private readonly subject: string
  private readonly receive: (message: Msg) => void
  private readonly onResume: () => void
  private session: Session | undefined = undefined
  private subscription: Subscription | undefined = undefined
  private failure: Error | undefined = undefined
  private isConfirmed = false
  // It has begun on another connection, and has not said so yet.
  private hasToResume = false
  private hasEnded = false

  constructor(link: NatsLink, subject: string, receive: (message: Msg) => void, onResume: () => void) {
    this.link = link
    this.subject = subject
    this.receive = receive
    this.onResume = onResume
  }

  /** Whether messages arrive. */
  get isActive(): boolean {
    return this.link.isCurrent(this.session)
  }

  /** Subscribes on a connection. */
  begin(session: Session): void {
    this.hasToResume = this.session !== undefined
    this.session = session
    this.failure = undefined
    this.subscription = session.nc.subscribe(this.subject, {
      callback: (failure, message) => {
        if (failure !== null) {
          this.fail(session, failure)
          return
        }
        // Before the first message, because others may be missing.
        this.resume()
        this.receive(message)
      }
    })
  }

  /** The server has answered something that was sent later. Throws if it has refused the subscription. */
  confirm(): void {
    if (this.failure !== undefined) throw this.failure
    this.isConfirmed = true
  }

  /** It is active. If it has been so before, on another connection, says so once. */
  resume(): void {
    if (!this.hasToResume || this.hasEnded) return
    this.hasToResume = false
    this.onResume()
  }

  end(): void {
    if (this.hasEnded) return
    this.hasEnded = true
    this.link.forget(this)
    this.subscription?.unsubscribe()
  }

  private fail(session: Session, failure: Error): void {
    if (this.session !== session) return
    this.failure = failure
    // Not to be left without messages.
    if (this.isConfirmed) this.link.lose(session, failure)
  }
}

const close = ({ nc }: Session): void => {
  // It fails if the connection is broken already.
  nc.close().catch(() => {})
}
