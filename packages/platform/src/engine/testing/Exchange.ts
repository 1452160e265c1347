import { HandshakeRejected, type HeaderRecord, IoError } from "@effect-websocket/protocol/Errors"
import * as Handshake from "@effect-websocket/protocol/Handshake"
import type { Transport } from "../../Transport.js"
import { nothingToUndo } from "../connection/Closables.js"
import type { UpgradeAttempt } from "../server/UpgradeAttempt.js"
import { Waiters } from "../Waiters.js"

/** The answer that a client gets. */
export type Answer =
  | { readonly _tag: "Upgraded"; readonly headers: HeaderRecord; readonly transport: Transport }
  | { readonly _tag: "Failed"; readonly error: HandshakeRejected | IoError }

/** Two transports that are joined. */
interface Pair {
  readonly client: Transport
  readonly server: Transport
}

type Done = (answer: Answer) => void
type Offer = (attempt: OfferedAttempt) => void

/** What the server gets. It may say that the body of its rejection has been cut off. */
export interface OfferedAttempt extends UpgradeAttempt {
  readonly reject: (status: number, headers: HeaderRecord, body: string, bodyTruncated?: boolean) => void
}

/** A valid request to upgrade that a test has taken. */
export interface Taken {
  readonly request: Handshake.UpgradeRequest
  readonly exchange: Exchange
}

/**
 * The requests to upgrade that have no answer yet. A request goes to the test that has asked for one first. If no test has, the
 * server gets it, and a test may take it back until the server answers.
 */
export class Exchanges {
  private readonly offer: Offer
  /** In the order in which they came. Those that tests were called for are the first, those that the server has follow. */
  private readonly unanswered = new Map<Exchange, Handshake.UpgradeRequest>()
  private readonly asking = new Waiters()
  /** The tests that were called, and that have neither taken a request nor given up. */
  private readonly called = new Set<() => void>()

  /** `offer` gives a request to the server. */
  constructor(offer: Offer) {
    this.offer = offer
  }

  /** Sends a request. Calls back with its answer in a later turn. The function that it returns drops the request. */
  dial(pair: Pair, url: URL, headers: HeaderRecord, done: Done): () => void {
    const sent: Handshake.HttpRequest = {
      method: "GET",
      url: url.pathname + url.search,
      httpVersion: "1.1",
      headers: Handshake.lowerCaseNames({ ...headers, Host: url.host })
    }
    const exchange = new Exchange(pair, sent, done, () => this.unanswered.delete(exchange))
    // As over a network, the server does not learn of the request in the step in which the client sends it.
    queueMicrotask(() => {
      if (exchange.isDropped) return
      const request = Handshake.checkRequest(sent)
      // The server refuses a request that is not valid.
      if (request._tag === "RefusedRequest") return exchange.offerTo(this.offer)
      this.unanswered.set(exchange, request)
      this.passOn(exchange)
    })
    return () => exchange.drop()
  }

  /**
   * Asks for a request. Calls back once there is one, at once if there is. Then `take` returns it, unless somebody else was
   * faster. The function that it returns must be called after `take`, or to give up: a request that was kept for this caller goes
   * to the next one.
   */
  ask(wake: () => void): () => void {
    const call = (): void => {
      this.called.add(call)
      wake()
    }
    let remove = nothingToUndo
    if (this.unanswered.size > 0) call()
    else remove = this.asking.add(call)
    return () => {
      remove()
      if (this.called.delete(call)) this.passOnRest()
    }
  }

  /** Takes the first request, also from the server, to which it looks as if the client had gone away. */
  take(): Taken | undefined {
    for (const [exchange, request] of this.unanswered) {
      this.unanswered.delete(exchange)
      exchange.takeBack()
      return { request, exchange }
    }
    return undefined
  }

  /** Gives a request that was taken to the server. */
  forward({ exchange }: Taken): void {
    exchange.offerTo(this.offer)
  }

  private passOn(exchange: Exchange): void {
    if (!this.asking.wakeOne()) exchange.offerTo(this.offer)
  }

  /** Passes on all requests beyond those that are kept for the tests that were called. */
  private passOnRest(): void {
    for (let rest = this.firstOfRest(); rest !== undefined; rest = this.firstOfRest()) this.passOn(rest)
  }

  private firstOfRest(): Exchange | undefined {
    let kept = 0
    for (const exchange of this.unanswered.keys()) {
      if (exchange.isOffered) continue
      if (kept === this.called.size) return exchange
      kept++
    }
    return undefined
  }
}

/** A request to upgrade and its answer, by the server or by a test. */
export class Exchange {
  readonly pair: Pair
  private readonly request: Handshake.HttpRequest
  private readonly done: Done
  private readonly onOver: () => void
  private dropped = false
  /** What the server has while it may answer. */
  private offered: OfferedAttempt | undefined = undefined
  private onGone: (() => void) | undefined = undefined

  constructor(pair: Pair, request: Handshake.HttpRequest, done: Done, onOver: () => void) {
    this.pair = pair
    this.request = request
    this.done = done
    this.onOver = onOver
  }

  get isDropped(): boolean {
    return this.dropped
  }

  /** Whether the server has it. */
  get isOffered(): boolean {
    return this.offered !== undefined
  }

  /** Lets the server answer. */
  offerTo(offer: Offer): void {
    const attempt: OfferedAttempt = {
      request: this.request,
      remoteAddress: this.pair.client.remoteAddress,
      isGone: () => this.dropped || this.offered !== attempt,
      onGone: (listener) => {
        this.onGone = listener
      },
      upgrade: (headers) => this.upgrade(headers),
      reject: (status, headers, body, bodyTruncated) => {
        if (this.offered === attempt) this.reject(status, headers, body, bodyTruncated)
      }
    }
    this.offered = attempt
    offer(attempt)
  }

  /** To the server it looks as if the client had gone away. */
  takeBack(): void {
    this.offered = undefined
    this.reportGone()
  }

  /** Answers 101. Returns the transport of the server. */
  upgrade(headers: HeaderRecord): Transport {
    this.answer({ _tag: "Upgraded", headers: Handshake.lowerCaseNames(headers), transport: this.pair.client })
    return this.pair.server
  }

  /** Answers with another status. */
  reject(status: number, headers: HeaderRecord, body: string, bodyTruncated = false): void {
    const rejected = {
      status,
      headers: Handshake.lowerCaseNames(headers),
      body: new TextEncoder().encode(body),
      bodyTruncated
    }
    this.answer({ _tag: "Failed", error: new HandshakeRejected(rejected) })
  }

  /** Answers as if no server could be reached. */
  unreachable(): void {
    this.answer({ _tag: "Failed", error: new IoError({ reason: "Connect", operation: "connect" }) })
  }

  /** The client goes away. */
  drop(): void {
    this.dropped = true
    this.onOver()
    this.reportGone()
    this.pair.client.abort()
  }

  private reportGone(): void {
    const { onGone } = this
    this.onGone = undefined
    onGone?.()
  }

  private answer(answer: Answer): void {
    this.onOver()
    this.onGone = undefined
    // As over a network, the client does not learn of the answer in the step in which it is given.
    queueMicrotask(() => {
      if (!this.dropped) this.done(answer)
    })
  }
}
