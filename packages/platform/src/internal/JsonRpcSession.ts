import type { ConnectionError } from "@effect-websocket/protocol/Errors"
import type { Message } from "@effect-websocket/protocol/Message"
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Option from "effect/Option"
import type * as Scope from "effect/Scope"
import type { CallError, PendingCalls } from "../PendingCalls.js"
import type * as WebSocket from "../WebSocket.js"
import { deferredDoneUnsafe, deferredMakeUnsafe, findErrorOption } from "./effect.js"
import { InvalidMessage } from "./InvalidMessage.js"
import * as json from "./json.js"
import { together } from "./together.js"

/** The error of a response. */
export interface Failure {
  readonly code: number
  readonly message: string
  readonly data?: unknown
}

const parseError: Failure = { code: -32700, message: "Parse error" }
const invalidRequest: Failure = { code: -32600, message: "Invalid Request" }
const methodNotFound: Failure = { code: -32601, message: "Method not found" }
export const invalidParams: Failure = { code: -32602, message: "Invalid params" }
export const internalError: Failure = { code: -32603, message: "Internal error" }
const tooManyRequests: Failure = { code: -32000, message: "Too many requests at once" }
const requestCancelled: Failure = { code: -32800, message: "Request cancelled" }

type Id = string | number | null

type Response =
  | { readonly jsonrpc: "2.0"; readonly id: Id; readonly result: unknown }
  | { readonly jsonrpc: "2.0"; readonly id: Id; readonly error: Failure }

/** A response, an effect that makes one, or an effect without one. */
type Outcome<R> = Response | Effect.Effect<Response | undefined, never, R> | undefined

type Handle<R> = (params: unknown) => Effect.Effect<unknown, Failure, R>

export interface Invoked {
  readonly isRequest: boolean
  readonly method: string
  readonly params: unknown
}

export interface SessionOptions<R, E> {
  readonly methods: ReadonlyMap<string, Handle<R>>
  readonly maxBatch: number
  readonly maxRunning: number
  readonly cancelMethod: string | undefined
  readonly toError: (failure: Failure) => E
}

/** The messages of JSON-RPC on one connection. See `JsonRpc`. */
export class JsonRpcSession<out R, E> {
  private readonly socket: WebSocket.WebSocket
  private readonly calls: PendingCalls<unknown, E>
  private readonly scope: Scope.Scope
  private readonly options: SessionOptions<R, E>
  // The requests of the peer that run, with what cancels them.
  private readonly requests = new Map<Id, Deferred.Deferred<never, Failure>>()
  private running = 0
  // The responses that the connection has not taken yet. A peer that does not read must not collect any number of them.
  private unsent = 0

  constructor(
    socket: WebSocket.WebSocket,
    calls: PendingCalls<unknown, E>,
    scope: Scope.Scope,
    options: SessionOptions<R, E>
  ) {
    this.socket = socket
    this.calls = calls
    this.scope = scope
    this.options = options
  }

  get run(): Effect.Effect<void, ConnectionError, R> {
    return this.socket.run((message) => this.receive(message))
  }

  // Our calls

  call(method: string, params: unknown): Effect.Effect<unknown, E | CallError | InvalidMessage> {
    return this.calls.call((id) => this.send({ jsonrpc: "2.0", id, method, params }), this.cancel)
  }

  notify(method: string, params: unknown): Effect.Effect<void, ConnectionError | InvalidMessage> {
    return this.send({ jsonrpc: "2.0", method, params })
  }

  batch(
    invoked: ReadonlyArray<Invoked>
  ): Effect.Effect<ReadonlyArray<Exit.Exit<unknown, E | ConnectionError>>, CallError | InvalidMessage> {
    const size = invoked.filter(({ isRequest }) => isRequest).length
    const send = (ids: ReadonlyArray<number>) => {
      const rest = ids[Symbol.iterator]()
      const messages = invoked.map(({ isRequest, method, params }) =>
        isRequest ? { jsonrpc: "2.0", id: rest.next().value, method, params } : { jsonrpc: "2.0", method, params }
      )
      return messages.length === 0 ? Effect.void : this.send(messages)
    }
    return Effect.map(this.calls.callAll(size, send, this.cancel), (replies) => {
      const rest = replies[Symbol.iterator]()
      return invoked.map(({ isRequest }) => (isRequest ? rest.next().value! : Exit.void))
    })
  }

  private readonly cancel = (id: number): Effect.Effect<void, ConnectionError | InvalidMessage> => {
    const { cancelMethod } = this.options
    return cancelMethod === undefined ? Effect.void : this.notify(cancelMethod, { id })
  }

  private send(value: unknown): Effect.Effect<void, ConnectionError | InvalidMessage> {
    return Effect.suspend((): Effect.Effect<void, ConnectionError | InvalidMessage> => {
      let text: string
      try {
        text = json.stringify(value)
      } catch {
        return Effect.fail(
          new InvalidMessage({ direction: "outbound", reason: "serialization", serialization: "JSON" })
        )
      }
      return this.socket.send(text)
    })
  }

  // What the peer sends

  private receive(message: Message): Effect.Effect<unknown, ConnectionError, R> | void {
    let value: unknown
    try {
      if (message._tag === "Binary") return this.respond(refusal(null, parseError))
      value = json.parse(message.data)
    } catch {
      return this.respond(refusal(null, parseError))
    }
    if (Array.isArray(value)) return this.receiveBatch(value)
    const outcome = this.handle(value)
    if (!Effect.isEffect(outcome)) return outcome && this.respond(outcome)
    const answered = Effect.flatMap(outcome, (response) =>
      response === undefined ? Effect.void : this.respondLater(response)
    )
    return Effect.forkIn(answered, this.scope)
  }

  private receiveBatch(values: ReadonlyArray<unknown>): Effect.Effect<unknown, ConnectionError, R> | void {
    if (values.length === 0 || values.length > this.options.maxBatch) {
      return this.respond(refusal(null, invalidRequest))
    }
    const outcomes = values.map((value) => this.handle(value))
    const ready = outcomes.flatMap((outcome) => (Effect.isEffect(outcome) ? [] : [outcome]))
    const effects = outcomes.flatMap((outcome) => (Effect.isEffect(outcome) ? [outcome] : []))
    const refusals = ready.filter((response) => response !== undefined)
    if (effects.length === 0) return refusals.length === 0 ? undefined : this.respond(refusals)
    const answered = Effect.flatMap(together(effects), (exits) => {
      const responses = exits.map((exit) => (Exit.isSuccess(exit) ? exit.value : undefined))
      const all = [...refusals, ...responses.filter((response) => response !== undefined)]
      return all.length === 0 ? Effect.void : this.respondLater(all)
    })
    return Effect.forkIn(answered, this.scope)
  }

  private handle(value: unknown): Outcome<R> {
    if (!isRecord(value)) return refusal(null, invalidRequest)
    const { id, jsonrpc, method, params } = value
    if (method === undefined && ("result" in value || "error" in value)) return this.takeResponse(value)
    const isNotification = !("id" in value)
    const isValid = jsonrpc === "2.0" && typeof method === "string" && isParams(params) && (isNotification || isId(id))
    if (!isValid) return refusal(isId(id) ? id : null, invalidRequest)
    if (isNotification) return this.handleNotification(method, params)
    return isId(id) ? this.handleRequest(id, method, params) : undefined
  }

  /** A response without a call is ignored: the call was interrupted, or never made, or answered already. */
  private takeResponse({ error, id, result }: Readonly<Record<string, unknown>>): undefined {
    if (error === undefined) this.calls.reply(id, Exit.succeed(result))
    else this.calls.reply(id, Exit.fail(this.options.toError(isFailure(error) ? error : internalError)))
  }

  private handleNotification(method: string, params: unknown): Outcome<R> {
    if (method === this.options.cancelMethod) {
      const cancelled = isRecord(params) && isId(params["id"]) ? this.requests.get(params["id"]) : undefined
      if (cancelled !== undefined) deferredDoneUnsafe(cancelled, Exit.fail(requestCancelled))
      return undefined
    }
    const handle = this.options.methods.get(method)
    if (handle === undefined || this.isBusy) return undefined
    this.running++
    return Effect.ensuring(
      Effect.as(
        answerOf(
          null,
          Effect.suspend(() => handle(params))
        ),
        undefined
      ),
      Effect.sync(() => this.running--)
    )
  }

  private handleRequest(id: Id, method: string, params: unknown): Outcome<R> {
    const handle = this.options.methods.get(method)
    if (handle === undefined) return refusal(id, methodNotFound)
    // Two requests with one id could not be told apart.
    if (this.requests.has(id)) return refusal(id, invalidRequest)
    if (this.isBusy) return refusal(id, tooManyRequests)
    const cancelled = deferredMakeUnsafe<never, Failure>()
    this.running++
    this.requests.set(id, cancelled)
    const handled = Effect.suspend(() => handle(params))
    const result =
      this.options.cancelMethod === undefined ? handled : Effect.raceFirst(handled, Deferred.await(cancelled))
    return Effect.ensuring(
      answerOf(id, result),
      Effect.sync(() => {
        this.running--
        this.requests.delete(id)
      })
    )
  }

  /**
   * Whether nothing more may run. The refusals are sent by the reader, which waits for them. One more response may be unsent than
   * may run, because a peer in the same process calls again within the step that sends the response.
   */
  private get isBusy(): boolean {
    const { maxRunning } = this.options
    return this.running >= maxRunning || this.unsent > maxRunning
  }

  /** Responds while the reader goes on. */
  private respondLater(response: Response | ReadonlyArray<Response>): Effect.Effect<void> {
    const count = "id" in response ? 1 : response.length
    this.unsent += count
    return Effect.ensuring(
      Effect.ignore(this.respond(response)),
      Effect.sync(() => (this.unsent -= count))
    )
  }

  /** If the response cannot be sent, the peer gets an error in its place. */
  private respond(response: Response | ReadonlyArray<Response>): Effect.Effect<void, ConnectionError> {
    const instead = refusal("id" in response ? response.id : null, internalError)
    const refused = Effect.suspend(() => this.socket.send(json.stringify(instead)))
    return Effect.catchTags(this.send(response), {
      Invalid_message: () => refused,
      Payload_too_large: (error) => (error.direction === "outbound" ? refused : Effect.fail(error))
    })
  }
}

/** The response to a request. It never fails: what the handler dies of is logged, and the peer is not told about it. */
const answerOf = <R>(id: Id, result: Effect.Effect<unknown, Failure, R>): Effect.Effect<Response, never, R> =>
  Effect.matchCauseEffect(result, {
    onFailure: (cause) => {
      const failure = findErrorOption(cause)
      if (Option.isSome(failure)) return Effect.succeed(refusal(id, failure.value))
      return Effect.as(Effect.logError("The handler of a JSON-RPC method died", cause), refusal(id, internalError))
    },
    onSuccess: (result) => Effect.succeed({ jsonrpc: "2.0" as const, id, result: result ?? null })
  })

const refusal = (id: Id, { code, data, message }: Failure): Response => ({
  jsonrpc: "2.0",
  id,
  error: data === undefined ? { code, message } : { code, message, data }
})

const isRecord = (value: unknown): value is Readonly<Record<string, unknown>> =>
  typeof value === "object" && value !== null && !Array.isArray(value)

const isParams = (params: unknown): boolean => params === undefined || (typeof params === "object" && params !== null)

const isId = (id: unknown): id is Id => id === null || typeof id === "string" || typeof id === "number"

const isFailure = (error: unknown): error is Failure =>
  isRecord(error) && Number.isInteger(error["code"]) && typeof error["message"] === "string"
