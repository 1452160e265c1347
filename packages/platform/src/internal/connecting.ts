import type { Delivery } from "@effect-websocket/protocol/Connection"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import type * as CookieJar from "../CookieJar.js"
import type { ClientRequest } from "../engine/client/ClientRequest.js"
import type { ConnectError, Dial } from "../engine/client/Dial.js"
import { Dialing, type Jar } from "../engine/client/Dialing.js"
import type { Owner } from "../engine/connection/Closables.js"
import type { ClientSettings } from "../engine/Settings.js"
import type { Timers } from "../engine/time/Timers.js"
import type { Mode } from "../engine/connection/Link.js"
import { makeWebSocket, type WebSockets } from "./deliveries.js"
import { interruptUnsafe, runForkWith, runtime, withFiber, type Fiber as AnyFiber, type Runtime } from "./effect.js"
import { openIn, type Restore } from "./opening.js"

/** What a connection is made with, besides the request. */
export interface ConnectPlan<D extends Delivery> {
  readonly dial: Dial
  readonly settings: ClientSettings
  readonly mode: Mode & { readonly delivery: D }
  readonly timers: Timers
  readonly place: Owner
  readonly jar: CookieJar.Service | undefined
  readonly protocols: ReadonlyArray<string> | undefined
  readonly origin: string | undefined
}

/** From a request to an open connection. Only its wait is interruptible: `restore` makes it so if the caller is. */
export const connect = <D extends Delivery>(
  { jar, mode, place, ...plan }: ConnectPlan<D>,
  request: ClientRequest,
  restore: Restore
): Effect.Effect<WebSockets<undefined>[D], ConnectError> =>
  Effect.flatMap(runtime<never>(), (inherited) => {
    const cookies = jar && new JarFibers(jar, inherited)
    const { settings, timers } = plan
    const dialing = new Dialing<WebSockets<undefined>[D]>({
      ...plan,
      jar: cookies,
      open: (transport, url, accepted) => {
        const negotiated = { url: url.href, ...accepted }
        const socket = makeWebSocket("client", transport, settings, timers, negotiated, mode, undefined)
        socket.link.start(place)
        return socket
      }
    })
    return openIn(
      place,
      dialing,
      (done, failed) => {
        if (cookies !== undefined) cookies.onFailure = failed
        dialing.start(request, done)
      },
      restore,
      cookies && (() => cookies.ended)
    )
  })

/** A jar whose effects run in fibers of their own, one at a time. */
class JarFibers implements Jar {
  /** Called with a defect or an interruption of the jar's effects. */
  onFailure: (failure: Exit.Exit<never>) => void = () => {}
  private readonly jar: CookieJar.Service
  private readonly runtime: Runtime<never>
  private fiber: AnyFiber | undefined = undefined

  constructor(jar: CookieJar.Service, runtime: Runtime<never>) {
    this.jar = jar
    this.runtime = runtime
  }

  cookieHeader(url: URL, done: (cookies: string) => void): () => void {
    return this.run(this.jar.cookieHeader(url), done)
  }

  setCookies(url: URL, headers: ReadonlyArray<string>, done: () => void): () => void {
    return this.run(this.jar.setCookies(url, headers), done)
  }

  /** Waits for the end of an effect that was cancelled. */
  get ended(): Effect.Effect<void> {
    return this.fiber === undefined ? Effect.void : Effect.asVoid(Fiber.await(this.fiber))
  }

  private run<A>(effect: Effect.Effect<A>, done: (value: A) => void): () => void {
    let cancelled = false
    const interruptible = Effect.interruptible(effect)
    const fiber = runForkWith(this.runtime)(
      withFiber<A, never, never>((fiber) => {
        // Before the jar's effect begins: on Effect 4 its first step may resume a fiber that interrupts `connect`.
        this.fiber = fiber
        return interruptible
      })
    )
    fiber.addObserver((exit) => {
      if (this.fiber === fiber) this.fiber = undefined
      if (cancelled) return
      if (Exit.isSuccess(exit)) done(exit.value)
      else this.onFailure(Exit.failCause(exit.cause))
    })
    return () => {
      cancelled = true
      interruptUnsafe(fiber)
    }
  }
}
