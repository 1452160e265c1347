import { createClient } from "@redis/client"
import type { Outages } from "./Outages.js"
import { bytesOnly, isReply, ScriptRunner } from "./ScriptRunner.js"
import type { LinkSettings } from "./settings.js"
import { noAnswer, withDeadline, type Outcome } from "./withDeadline.js"

/**
 * A client that ends with its connection, so that no command waits in it for another one. In RESP 2, because all
 * servers and proxies have it.
 */
const makeClient = ({ client, timeout }: LinkSettings) =>
  createClient({
    ...client,
    socket: { connectTimeout: timeout, ...client.socket, reconnectStrategy: false },
    RESP: 2,
    maintNotifications: "disabled"
  })

export type Client = ReturnType<typeof makeClient>

/** A client with a connection, or one that is getting it. */
interface Dialed {
  readonly client: Client
  /** Whether there is a socket. Earlier the client cannot be destroyed: it would keep the socket that it gets. */
  hasSocket: boolean
}

interface Command {
  readonly send: (dialed: Dialed) => void
  readonly reject: (cause: unknown) => void
}

// The client has no timer for a command, because the link has one.
const commandOptions = { ...bytesOnly, timeout: 0 }

const minDelay = 50
const maxDelay = 2_000

/** One connection, made again whenever it breaks or the server does not answer. */
export class RedisLink extends ScriptRunner {
  private readonly settings: LinkSettings
  private readonly outages: Outages
  private readonly onUp: (client: Client) => void
  private readonly onReadOnly: (cause: unknown) => void
  private current: Dialed | undefined = undefined
  private isUp = false
  private hasEnded = false
  private failures = 0
  private lastCause: unknown = undefined
  // The next attempt, the deadline of this attempt, or the next heartbeat.
  private timer: NodeJS.Timeout | undefined = undefined
  private readonly waiting = new Set<Command>()

  /** `onUp` is called with each connection that is ready, `onReadOnly` if the server has become a replica. */
  constructor(
    settings: LinkSettings,
    outages: Outages,
    onUp: (client: Client) => void,
    onReadOnly: (cause: unknown) => void
  ) {
    super()
    this.settings = settings
    this.outages = outages
    this.onUp = onUp
    this.onReadOnly = onReadOnly
  }

  get timeout(): number {
    return this.settings.timeout
  }

  /** Why there is no connection, or that the server does not answer in time. */
  get cause(): unknown {
    return this.isUp || this.lastCause === undefined ? this.noAnswer() : this.lastCause
  }

  /** Connects. */
  start(): void {
    const client = makeClient(this.settings)
    const dialed: Dialed = { client, hasSocket: false }
    this.current = dialed
    client.on("error", (cause) => this.lose(dialed, cause))
    client.on("end", () => this.lose(dialed, new Error("The connection to Redis has ended")))
    client.on("connect", () => {
      dialed.hasSocket = true
      if (this.current !== dialed) destroy(client)
    })
    this.timer = setTimeout(() => this.lose(dialed, this.noAnswer()), this.settings.timeout)
    client
      .connect()
      // A server that wants a password, or that loads its data, accepts connections, and refuses every command.
      .then(() => client.ping())
      .then(
        () => this.rise(dialed),
        (cause: unknown) => this.lose(dialed, cause)
      )
  }

  /** Ends the connection for good. Whatever waits for it fails. */
  end(): void {
    this.hasEnded = true
    this.drop(new Error("The broker has ended"))
    for (const { reject } of this.waiting) reject(this.lastCause)
    this.waiting.clear()
  }

  /** Makes another connection in place of this one. */
  restart(client: Client, cause: unknown): void {
    if (this.current?.client === client) this.lose(this.current, cause)
  }

  /** Another server may be the primary now. */
  restartNow(cause: unknown): void {
    if (this.isUp && this.current !== undefined) this.lose(this.current, cause)
  }

  /**
   * Sends a command, once there is a connection. Fails if there is no reply within `timeout`. If it has been sent by then, the
   * server may still perform it, and the connection is made again.
   */
  command(args: ReadonlyArray<string | Buffer>): Promise<unknown> {
    let sentWith: Dialed | undefined
    let waiting: Command | undefined
    const onLate = (): unknown => {
      const { cause } = this
      if (waiting !== undefined) this.waiting.delete(waiting)
      if (sentWith !== undefined) this.lose(sentWith, this.noAnswer())
      return cause
    }
    const begin = ({ fail, succeed }: Outcome<unknown>): void => {
      const send = (dialed: Dialed): void => {
        sentWith = dialed
        dialed.client.sendCommand(args, commandOptions).then(succeed, (cause: unknown) => {
          fail(cause)
          if (!isReply(cause, "READONLY")) return
          this.lose(dialed, cause)
          this.onReadOnly(cause)
        })
      }
      if (this.hasEnded) fail(this.lastCause)
      else if (this.isUp && this.current !== undefined) send(this.current)
      else {
        waiting = { send, reject: fail }
        this.waiting.add(waiting)
      }
    }
    return withDeadline(this.settings.timeout, begin, onLate)
  }

  private rise(dialed: Dialed): void {
    if (this.current !== dialed) return
    clearTimeout(this.timer)
    this.isUp = true
    this.failures = 0
    this.outages.find(this)
    this.beat(dialed)
    const commands = [...this.waiting]
    this.waiting.clear()
    for (const { send } of commands) send(dialed)
    this.onUp(dialed.client)
  }

  private beat(dialed: Dialed): void {
    const beatAgain = (): void => {
      if (this.current !== dialed) return
      clearTimeout(this.timer)
      this.beat(dialed)
    }
    this.timer = setTimeout(() => {
      this.timer = setTimeout(() => this.lose(dialed, this.noAnswer()), this.settings.timeout)
      dialed.client.ping().then(beatAgain, (cause: unknown) => this.lose(dialed, cause))
    }, this.settings.heartbeat)
  }

  private lose(dialed: Dialed, cause: unknown): void {
    if (this.current !== dialed) return
    this.drop(cause)
    this.outages.lose(this, cause)
    const delay = Math.min(maxDelay, minDelay * 2 ** this.failures++)
    // Half of it at random, so that all processes do not come back at once.
    this.timer = setTimeout(() => this.start(), delay * (0.5 + Math.random() / 2))
  }

  private drop(cause: unknown): void {
    const dialed = this.current
    clearTimeout(this.timer)
    this.current = undefined
    this.isUp = false
    this.lastCause = cause
    if (dialed?.hasSocket === true) destroy(dialed.client)
  }

  private noAnswer(): Error {
    return noAnswer(this.settings.timeout)
  }
}

/** A client whose connection has ended already throws in some versions. */
const destroy = (client: Client): void => {
  try {
    client.destroy()
  } catch {
    // It has ended.
  }
}
