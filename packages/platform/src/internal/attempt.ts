import type { Delivery } from "@effect-websocket/protocol/Connection"
import { HandshakeRejected, IoError, isHandshakeRejected, ProtocolError } from "@effect-websocket/protocol/Errors"
import type { HeaderRecord } from "@effect-websocket/protocol/Errors"
import * as Handshake from "@effect-websocket/protocol/Handshake"
import * as HeaderField from "@effect-websocket/protocol/HeaderField"
import * as PermessageDeflate from "@effect-websocket/protocol/PermessageDeflate"
import * as Clock from "effect/Clock"
import type * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import type { CookieJar } from "../CookieJar.js"
import type { ConnectError, Dial, Dialed, RejectedBody } from "../WebSocketClient.js"
import type { Timers } from "../engine/time/Timers.js"
import type { Mode, Negotiated } from "../engine/connection/Link.js"
import { makeWebSocket, type AnyWebSocketImpl, type WebSockets } from "./deliveries.js"
import { guarded } from "../engine/connection/GuardedTransport.js"
import { randomBytes } from "../engine/random.js"
import { closedAtOnce, type Closable, type Owner } from "../engine/connection/Closables.js"
import { awaitClosed, closeCodeOf } from "./scopes.js"
import * as Request from "./request.js"
import type { ClientSettings, Settings } from "../engine/Settings.js"
import { awaitCallback } from "./waiting.js"

/** What an attempt needs besides the request. */
export interface Plan<D extends Delivery> {
  readonly dial: Dial
  readonly settings: ClientSettings
  readonly mode: Mode & { readonly delivery: D }
  readonly timers: Timers
  readonly place: Owner
  readonly jar: Context.Tag.Service<CookieJar> | undefined
  readonly protocols: ReadonlyArray<string> | undefined
  readonly origin: string | undefined
}

/** An answer other than 101. */
interface Rejected {
  readonly _tag: "Rejected"
  readonly status: number
  readonly headers: HeaderRecord
  /** Its body, which has yet to be read, or the error that tells it already. */
  readonly body: RejectedBody | HandshakeRejected
}

type Restore = <A, E, R>(effect: Effect.Effect<A, E, R>) => Effect.Effect<A, E, R>

// What of a refusal's body is kept, and how long it is waited for.
const maxBodyBytes = 64 * 1024
const maxBodyMillis = 2000

/**
 * From a request to an open connection, redirects included. It is registered with its scope before anything is sent, and every
 * step between two waits is synchronous, so that at each moment somebody can drop what there is.
 */
export class Attempt<D extends Delivery> implements Closable {
  /** Nothing is sent over it yet. */
  readonly patience = 0
  readonly whenClosed = closedAtOnce
  private readonly plan: Plan<D>
  private stopped = false
  /** Drops what there is: a request, or an answer with its body. */
  private drop: (() => void) | undefined = undefined
  /** Ends the wait for it. */
  private interrupt: (() => void) | undefined = undefined
  private opened: WebSockets<undefined>[D] | undefined = undefined

  constructor(plan: Plan<D>) {
    this.plan = plan
  }

  beginClose(): void {
    this.stopped = true
    this.abandon()
    this.interrupt?.()
  }

  /** Uninterruptible, but for where it waits. */
  run(request: Request.Request, restore: Restore): Effect.Effect<WebSockets<undefined>[D], ConnectError> {
    return Effect.gen(this, function* () {
      const { place, settings } = this.plan
      place.add(this)
      const start = yield* Clock.currentTimeNanos
      const answer = yield* Effect.interruptible(this.follow(request)).pipe(
        // Bounded also where the caller cannot be interrupted.
        Effect.timeoutFail({
          duration: settings.openTimeout,
          onTimeout: () => new IoError({ reason: "Timeout", operation: "open" })
        }),
        restore
      )
      if (answer._tag === "Opened") return answer.driver
      const elapsed = Number((yield* Clock.currentTimeNanos) - start) / 1e6
      return yield* this.reject(answer, Math.min(maxBodyMillis, Math.max(settings.openTimeout - elapsed, 0)), restore)
    }).pipe(
      Effect.onExit((exit) =>
        Effect.suspend(() => {
          this.plan.place.delete(this)
          this.abandon()
          // The connection may have opened while the fiber was interrupted: then it is closed like any other.
          return Exit.isSuccess(exit) || this.opened === undefined
            ? Effect.void
            : closeNow(this.opened, closeCodeOf(exit))
        })
      )
    )
  }

  private follow(first: Request.Request) {
    return Effect.gen(this, function* () {
      const { jar, settings } = this.plan
      const visited = new Set<string>()
      let request = first
      for (let redirects = 0; ; redirects++) {
        const url = jar && Request.httpUrl(request.url)
        const headers = Request.headersOf(request, jar && url ? yield* jar.cookieHeader(url) : "")
        if (headers instanceof ProtocolError) return yield* Effect.fail(headers)
        // A cookie that the first visit set makes the second one another.
        const visit = JSON.stringify([request.url.href, headers["Cookie"]])
        if (visited.has(visit)) return yield* Effect.fail(circle())
        visited.add(visit)
        const answer = yield* this.ask(request.url, headers)
        const cookies = HeaderField.values(answer.headers, "set-cookie")
        if (jar && url && cookies.length > 0) yield* jar.setCookies(url, cookies)
        if (answer._tag === "Opened" || redirects >= settings.maxRedirects) return answer
        const location = locationOf(answer)
        if (location === undefined) return answer
        this.abandon()
        const next = Request.redirect(request, location)
        if (next instanceof ProtocolError) return yield* Effect.fail(next)
        request = next
      }
    })
  }

  private ask(url: URL, headers: HeaderRecord) {
    const { dial, mode, origin, place, protocols, settings, timers } = this.plan
    const extensions = settings.compression && PermessageDeflate.offer(settings.compression.settings)
    const key =
      settings.random === undefined ? Handshake.makeKey(randomBytes(16)) : Handshake.generateKey(settings.random)
    const offer = { key, protocols, extensions, origin, headers }
    const sent = Handshake.requestHeaders(offer)
    if (sent instanceof ProtocolError) return Effect.fail(sent)
    const take = (dialed: Dialed) => {
      if (dialed._tag === "Failed") {
        const { error } = dialed
        return isHandshakeRejected(error)
          ? Effect.succeed<Rejected>({ _tag: "Rejected", status: error.status, headers: error.headers, body: error })
          : Effect.fail(error)
      }
      if (dialed._tag === "Rejected") {
        this.drop = () => dialed.body.drop()
        return Effect.succeed<Rejected>(dialed)
      }
      const opening = checkAnswer(url, dialed.headers, offer, settings)
      if (opening instanceof ProtocolError) {
        guarded(dialed.transport).abort()
        return Effect.fail(opening)
      }
      const driver = makeWebSocket("client", dialed.transport, settings, timers, opening, mode, undefined)
      this.opened = driver
      // It takes the place over.
      driver.link.start(place)
      return Effect.succeed({ _tag: "Opened" as const, driver, headers: dialed.headers })
    }
    return this.wait<Effect.Effect.Success<ReturnType<typeof take>>, ConnectError>((done) =>
      dial(url, sent, (dialed) => {
        // It calls back again, or after it was dropped: there is nobody who would close that connection.
        if (!done(() => take(dialed)) && dialed._tag === "Upgraded") guarded(dialed.transport).abort()
      })
    )
  }

  private reject(
    { body, headers, status }: Rejected,
    millis: number,
    restore: Restore
  ): Effect.Effect<never, HandshakeRejected> {
    if (isHandshakeRejected(body)) return Effect.fail(body)
    const parts: Array<Uint8Array> = []
    let size = 0
    const reading = this.wait<boolean>((done) => {
      const end = (complete: boolean) =>
        done(() => {
          body.drop()
          return Effect.succeed(complete)
        })
      body.read((part) => {
        parts.push(part)
        size += part.length
        if (size > maxBodyBytes) end(false)
      }, end)
      return () => body.drop()
    })
    return Effect.interruptible(reading).pipe(
      Effect.timeoutTo({ duration: millis, onTimeout: () => false, onSuccess: (complete) => complete }),
      restore,
      Effect.flatMap((complete) =>
        Effect.fail(
          new HandshakeRejected({ status, headers, body: firstBytes(parts, maxBodyBytes), bodyTruncated: !complete })
        )
      )
    )
  }

  /** Waits for one thing that comes from outside. `begin` returns what drops it; `done` says whether it was waited for. */
  private wait<A, E = never>(
    begin: (done: (result: () => Effect.Effect<A, E>) => boolean) => () => void
  ): Effect.Effect<A, E> {
    return awaitCallback<A, E>((resume) => {
      if (this.stopped) return resume(Effect.interrupt)
      let waits = true
      this.interrupt = () => {
        waits = false
        resume(Effect.interrupt)
      }
      this.drop = begin((result) => {
        if (!waits) return false
        waits = false
        this.interrupt = undefined
        this.drop = undefined
        try {
          resume(result())
        } catch (defect) {
          // Of the app's dial or zlib; here it would be thrown into a callback.
          resume(Effect.die(defect))
        }
        return true
      })
      return () => {
        waits = false
        this.abandon()
      }
    })
  }

  private abandon(): void {
    const { drop } = this
    this.drop = undefined
    try {
      drop?.()
    } catch {
      // An error of the app's dial, in what nobody waits for.
    }
  }
}

const circle = (): ProtocolError =>
  new ProtocolError({
    origin: "remote",
    description: "The redirects lead in a circle",
    section: "RFC 9110 §15.4",
    closeCode: undefined
  })

const locationOf = ({ headers, status }: Rejected): string | undefined => {
  if (![301, 302, 303, 307, 308].includes(status)) return undefined
  const [location, another] = HeaderField.values(headers, "location")
  return another === undefined ? location : undefined
}

/** What the server agreed to. */
const checkAnswer = (
  url: URL,
  headers: HeaderRecord,
  offer: Handshake.Offer,
  { compression }: Settings
): Negotiated | ProtocolError => {
  const agreement = Handshake.checkResponse({ status: 101, headers }, offer)
  if (agreement instanceof ProtocolError) return agreement
  const deflate = compression && PermessageDeflate.check(agreement.extensions, compression.settings)
  return deflate instanceof ProtocolError ? deflate : { url: url.href, agreement, deflate }
}

const closeNow = (driver: AnyWebSocketImpl, code: number): Effect.Effect<void> =>
  Effect.suspend(() => {
    driver.link.beginClose(code)
    return awaitClosed(driver.link)
  })

const firstBytes = (parts: ReadonlyArray<Uint8Array>, max: number): Uint8Array => {
  const size = parts.reduce((sum, part) => sum + part.length, 0)
  const bytes = new Uint8Array(Math.min(size, max))
  let offset = 0
  for (const part of parts) {
    const taken = part.subarray(0, max - offset)
    bytes.set(taken, offset)
    offset += taken.length
  }
  return bytes
}
