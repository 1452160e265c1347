import {
  IoError,
  isHandshakeRejected,
  isProtocolError,
  type HandshakeRejected,
  type HeaderRecord,
  type ProtocolError
} from "@effect-websocket/protocol/Errors"
import * as Handshake from "@effect-websocket/protocol/Handshake"
import * as HeaderField from "@effect-websocket/protocol/HeaderField"
import * as PermessageDeflate from "@effect-websocket/protocol/PermessageDeflate"
import type { Transport } from "../../Transport.js"
import { closedAtOnce, type Closable } from "../connection/Closables.js"
import { guarded } from "../connection/GuardedTransport.js"
import { randomBytes } from "../random.js"
import type { ClientSettings } from "../Settings.js"
import { notSet, type Alarm, type Timers } from "../time/Timers.js"
import * as Answer from "./Answer.js"
import { headersOf, type ClientRequest } from "./ClientRequest.js"
import type { ConnectError, Dial, Dialed, RejectedBody } from "./Dial.js"
import * as Redirect from "./Redirect.js"
import { httpUrl } from "./Url.js"

/** A cookie jar. Each function calls back once, also before it returns, and returns what cancels it. */
export interface Jar {
  /** The value of `Cookie` for a request; empty for none. */
  cookieHeader(url: URL, done: (cookies: string) => void): () => void
  setCookies(url: URL, headers: ReadonlyArray<string>, done: () => void): () => void
}

/** What a dialing needs besides the request. */
export interface DialingPlan<A> {
  readonly dial: Dial
  readonly settings: Pick<ClientSettings, "openTimeout" | "maxRedirects" | "compression" | "random">
  readonly timers: Timers
  readonly jar: Jar | undefined
  readonly protocols: ReadonlyArray<string> | undefined
  readonly origin: string | undefined
  /** Makes the connection. It takes over the place that the dialing has in its scope, in the same step. */
  readonly open: (transport: Transport, url: URL, accepted: Answer.Accepted) => A
}

/** How a dialing ends. `Closed`: its scope ended. `Died`: `dial`, or something else of the app's, threw. */
export type DialingResult<A> =
  | { readonly _tag: "Opened"; readonly connection: A }
  | { readonly _tag: "Failed"; readonly error: ConnectError }
  | { readonly _tag: "Died"; readonly defect: unknown }
  | { readonly _tag: "Closed" }

type Upgraded = Extract<Dialed, { readonly _tag: "Upgraded" }>

interface Opened<A> {
  readonly _tag: "Opened"
  readonly headers: HeaderRecord
  readonly connection: A
}

interface Rejected {
  readonly _tag: "Rejected"
  readonly status: number
  readonly headers: HeaderRecord
  /** The unread body, or the error that already contains it. */
  readonly body: RejectedBody | HandshakeRejected
}

// How long the body of a rejected answer may take.
const maxBodyMillis = 2000

const nothing = (): void => {}

/**
 * From a request to an open connection, redirects included. Its owner registers it with a scope before it starts. It
 * waits for one thing at a time, and each step between two waits is synchronous: at any moment `drop` can end it and
 * release everything that it holds.
 */
export class Dialing<A> implements Closable, Alarm {
  /** No connection exists yet. */
  readonly patience = 0
  readonly whenClosed = closedAtOnce
  alarmTime = 0
  alarmIndex = notSet
  private readonly plan: DialingPlan<A>
  private readonly visited = new Redirect.Visited()
  private done: (result: DialingResult<A>) => void = nothing
  private ended = false
  private deadline = Number.POSITIVE_INFINITY
  /** Counts the waits, so that a late callback finds that nobody waits for it. */
  private turn = 0
  /** Cancels the current wait. */
  private cancelWait: () => void = nothing
  /** The body of the last answer, until it is dropped. */
  private body: RejectedBody | undefined = undefined
  /** Ends the reading of a body when the time for it is over. */
  private endBody: (() => void) | undefined = undefined
  private openedConnection: A | undefined = undefined

  constructor(plan: DialingPlan<A>) {
    this.plan = plan
  }

  /** The connection, from the step in which it is made. */
  get connection(): A | undefined {
    return this.openedConnection
  }

  /** Starts, and calls back once unless it is dropped before. */
  start(request: ClientRequest, done: (result: DialingResult<A>) => void): void {
    if (this.ended) return done({ _tag: "Closed" })
    this.done = done
    const { settings, timers } = this.plan
    this.deadline = timers.now + settings.openTimeout
    timers.set(this, this.deadline)
    this.step(() => this.visit(request, 0))
  }

  /** Ends it without a callback. What it holds is dropped; a connection stays open. Idempotent. */
  drop(): void {
    if (this.ended) return
    this.ended = true
    this.turn++
    this.plan.timers.clear(this)
    this.release()
  }

  /** The scope ends. */
  beginClose(): void {
    this.end({ _tag: "Closed" })
  }

  /** The time is over: for all, or for the body of a rejected answer. */
  fire(): void {
    if (this.endBody !== undefined) this.step(this.endBody)
    else this.fail(new IoError({ reason: "Timeout", operation: "open" }))
  }

  private visit(request: ClientRequest, redirects: number): void {
    const { jar } = this.plan
    const url = jar && httpUrl(request.url)
    if (jar === undefined || url === undefined) return this.ask(request, redirects, "")
    this.wait<string>(
      (answered) => jar.cookieHeader(url, answered),
      (cookies) => this.ask(request, redirects, cookies)
    )
  }

  private ask(request: ClientRequest, redirects: number, jarCookies: string): void {
    const { dial, origin, protocols, settings } = this.plan
    const headers = headersOf(request, jarCookies)
    if (isProtocolError(headers)) return this.fail(headers)
    // A cookie that the last answer set makes another request of the same URL.
    const circle = this.visited.add(request.url, headers)
    if (circle !== undefined) return this.fail(circle)
    const { compression, random } = settings
    const offer = {
      key: random === undefined ? Handshake.makeKey(randomBytes(16)) : Handshake.generateKey(random),
      protocols,
      extensions: compression && PermessageDeflate.offer(compression.settings),
      origin,
      headers
    }
    const sent = Handshake.requestHeaders(offer)
    if (isProtocolError(sent)) return this.fail(sent)
    this.wait<Dialed>(
      (answered) =>
        dial(request.url, sent, (dialed) => {
          if (!answered(dialed)) dropAnswer(dialed)
        }),
      (dialed) => this.take(request, redirects, offer, dialed)
    )
  }

  private take(request: ClientRequest, redirects: number, offer: Handshake.Offer, dialed: Dialed): void {
    if (dialed._tag === "Failed") {
      const { error } = dialed
      if (!isHandshakeRejected(error)) return this.fail(error)
      const { headers, status } = error
      return this.keepCookies(request, redirects, { _tag: "Rejected", status, headers, body: error })
    }
    if (dialed._tag === "Rejected") {
      this.body = dialed.body
      return this.keepCookies(request, redirects, dialed)
    }
    const connection = this.open(dialed, request.url, offer)
    if (isProtocolError(connection)) return this.fail(connection)
    this.keepCookies(request, redirects, { _tag: "Opened", headers: dialed.headers, connection })
  }

  /** Returns why the answer is not valid if no connection is made. Its transport is aborted then. */
  private open(upgraded: Upgraded, url: URL, offer: Handshake.Offer): A | ProtocolError {
    const { transport } = upgraded
    try {
      const accepted = Answer.check(upgraded, offer, this.plan.settings.compression)
      if (!isProtocolError(accepted)) return (this.openedConnection = this.plan.open(transport, url, accepted))
      guarded(transport).abort()
      return accepted
    } catch (defect) {
      guarded(transport).abort()
      throw defect
    }
  }

  private keepCookies(request: ClientRequest, redirects: number, answer: Opened<A> | Rejected): void {
    const { jar } = this.plan
    const url = jar && httpUrl(request.url)
    const cookies = HeaderField.values(answer.headers, "set-cookie")
    if (jar === undefined || url === undefined || cookies.length === 0) {
      return this.proceed(request, redirects, answer)
    }
    this.wait<void>(
      (answered) => jar.setCookies(url, cookies, answered),
      () => this.proceed(request, redirects, answer)
    )
  }

  private proceed(request: ClientRequest, redirects: number, answer: Opened<A> | Rejected): void {
    if (answer._tag === "Opened") return this.end({ _tag: "Opened", connection: answer.connection })
    const location =
      redirects < this.plan.settings.maxRedirects ? Redirect.locationOf(answer.status, answer.headers) : undefined
    if (location === undefined) return this.reject(answer)
    this.release()
    const next = Redirect.follow(request, location)
    if (isProtocolError(next)) return this.fail(next)
    this.visit(next, redirects + 1)
  }

  private reject({ body, headers, status }: Rejected): void {
    if (isHandshakeRejected(body)) return this.fail(body)
    const { timers } = this.plan
    const start = new Answer.BodyStart()
    timers.set(this, Math.min(timers.now + maxBodyMillis, this.deadline))
    this.wait<boolean>(
      (answered) => {
        this.endBody = () => answered(false)
        body.read((part) => {
          start.add(part)
          if (start.isCut) answered(false)
        }, answered)
        return nothing
      },
      (complete) => this.fail(start.toError(status, headers, complete))
    )
  }

  /**
   * Waits for one callback from outside. `begin` starts what is waited for and returns what cancels it. `answered` returns whether
   * it was waited for.
   */
  private wait<T>(begin: (answered: (value: T) => boolean) => () => void, next: (value: T) => void): void {
    const turn = ++this.turn
    let isAnswered = false
    const cancel = begin((value) => {
      if (turn !== this.turn) return false
      isAnswered = true
      this.turn++
      this.cancelWait = nothing
      this.step(() => next(value))
      return true
    })
    if (turn === this.turn) this.cancelWait = cancel
    // It was dropped while it began.
    else if (!isAnswered) cancel()
  }

  /** An error of the app's `dial` or zlib is a defect of `connect`: it must not get into a callback of a socket or a timer. */
  private step(run: () => void): void {
    try {
      run()
    } catch (defect) {
      this.end({ _tag: "Died", defect })
    }
  }

  private fail(error: ConnectError): void {
    this.end({ _tag: "Failed", error })
  }

  private end(result: DialingResult<A>): void {
    if (this.ended) return
    this.drop()
    this.done(result)
  }

  private release(): void {
    const { body, cancelWait } = this
    this.cancelWait = nothing
    this.body = undefined
    this.endBody = undefined
    quietly(cancelWait)
    if (body !== undefined) quietly(() => body.drop())
  }
}

/** Drops a second answer, or one that comes after `drop`: nobody else would close its socket. */
const dropAnswer = (dialed: Dialed): void => {
  if (dialed._tag === "Upgraded") guarded(dialed.transport).abort()
  else if (dialed._tag === "Rejected") quietly(() => dialed.body.drop())
}

/** Calls a function of the app's `dial` for a request that has ended, and ignores what it throws. */
const quietly = (call: () => void): void => {
  try {
    call()
  } catch {
    // Nobody waits for this request any more.
  }
}
