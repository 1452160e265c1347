/** Random programs of both endpoints against a simple model of what they must see. */
import * as MockTransport from "@effect-websocket/platform/MockTransport"
import * as WebSocket from "@effect-websocket/platform/WebSocket"
import { assert, describe, it } from "@effect/vitest"
import * as fc from "fast-check"
import { Effect, Fiber, Exit, Scope } from "../effect/index.js"
import { from, other, roles, settledLate, type Role } from "../support.js"
import { assertOver, ManualClock, messages, noAlarms, plain, watch, type Watched } from "./session.js"

const closeTimeout = 5000

/** What each side said, and what of it has to have arrived. */
interface Model {
  readonly sent: Record<Role, Array<unknown>>
  /** Held up on its way from here. */
  readonly stalled: Record<Role, boolean>
  /** Who began to close, in order, before the other's Close had arrived. Nobody sends anything after it. */
  readonly closed: Array<Role>
  /** Whose Close has arrived. */
  readonly arrived: Set<Role>
}

class Real {
  readonly run: <A, E>(effect: Effect.Effect<A, E>) => Promise<A>
  readonly pair: MockTransport.Pair
  readonly sockets: Record<Role, WebSocket.WebSocket>
  readonly watched: Record<Role, Watched>

  constructor(
    run: Real["run"],
    pair: MockTransport.Pair,
    sockets: Record<Role, WebSocket.WebSocket>,
    watched: Record<Role, Watched>
  ) {
    this.run = run
    this.pair = pair
    this.sockets = sockets
    this.watched = watched
  }
}

type Command = fc.AsyncCommand<Model, Real>

const verify = (model: Model, real: Real): Promise<void> =>
  real.run(
    Effect.gen(function* () {
      yield* settledLate
      for (const role of model.closed) {
        if (!model.stalled[role]) model.arrived.add(role)
      }
      for (const role of roles) {
        const { received } = real.watched[other(role)]
        assert.deepStrictEqual(received, model.sent[role].slice(0, received.length))
        if (!model.stalled[role] && model.closed.length === 0) assert.deepStrictEqual(received, model.sent[role])
      }
      for (const role of roles) {
        const knows = model.closed.includes(role) || model.arrived.has(other(role))
        assert.strictEqual(yield* real.sockets[role].isOpen, !knows)
      }
    })
  )

class Send implements Command {
  readonly role: Role
  readonly index: number
  constructor(role: Role, index: number) {
    this.role = role
    this.index = index
  }
  check = ({ closed }: Readonly<Model>): boolean => closed.length === 0
  async run(model: Model, real: Real): Promise<void> {
    const message = messages[this.index]!
    await real.run(real.sockets[this.role].send(message))
    model.sent[this.role].push(plain(message))
    await verify(model, real)
  }
  toString = (): string => `${this.role} sends ${this.index}`
}

class Ping implements Command {
  readonly role: Role
  constructor(role: Role) {
    this.role = role
  }
  check = ({ closed, stalled }: Readonly<Model>): boolean => closed.length === 0 && !stalled.client && !stalled.server
  async run(model: Model, real: Real): Promise<void> {
    await real.run(real.sockets[this.role].ping())
    await verify(model, real)
  }
  toString = (): string => `${this.role} pings`
}

class Stall implements Command {
  readonly role: Role
  readonly stalls: boolean
  constructor(role: Role, stalls: boolean) {
    this.role = role
    this.stalls = stalls
  }
  check = (): boolean => true
  async run(model: Model, real: Real): Promise<void> {
    const direction = from(real.pair, this.role)
    await real.run(this.stalls ? direction.stall : direction.unstall)
    model.stalled[this.role] = this.stalls
    await verify(model, real)
  }
  toString = (): string => `${this.stalls ? "stalls" : "lets go"} what ${this.role} says`
}

class Split implements Command {
  readonly size: number | undefined
  constructor(size: number | undefined) {
    this.size = size
  }
  check = (): boolean => true
  run(model: Model, real: Real): Promise<void> {
    return real.run(real.pair.split(this.size)).then(() => verify(model, real))
  }
  toString = (): string => `splits into ${this.size}`
}

class Close implements Command {
  readonly role: Role
  constructor(role: Role) {
    this.role = role
  }
  check = ({ closed }: Readonly<Model>): boolean => !closed.includes(this.role) && closed.length < 2
  async run(model: Model, real: Real): Promise<void> {
    await real.run(Effect.forkDetach(real.sockets[this.role].close(this.role === "client" ? 4001 : 4002)))
    if (!model.arrived.has(other(this.role))) model.closed.push(this.role)
    await verify(model, real)
  }
  toString = (): string => `${this.role} closes`
}

const role = fc.constantFrom(...roles)
const commands = fc.commands(
  [
    fc.tuple(role, fc.nat(messages.length - 1)).map(([role, index]) => new Send(role, index)),
    fc.tuple(role, fc.nat(messages.length - 1)).map(([role, index]) => new Send(role, index)),
    role.map((role) => new Ping(role)),
    fc.tuple(role, fc.boolean()).map(([role, stalls]) => new Stall(role, stalls)),
    fc.constantFrom(undefined, 1, 7).map((size) => new Split(size)),
    role.map((role) => new Close(role))
  ],
  { maxCommands: 25 }
)

/** Runs a program, lifts what is held up, ends both sides, and looks at how they ended. */
const runProgram = (program: Iterable<Command>) =>
  Effect.gen(function* () {
    const clock = new ManualClock()
    yield* Effect.withClock(
      Effect.gen(function* () {
        const scope = yield* Scope.make()
        const pair = yield* MockTransport.make()
        const open = (role: Role) =>
          Scope.provide(WebSocket.fromTransport(pair[role], { role, closeTimeout, maxFrameSize: 20 }), scope)
        const sockets = { client: yield* open("client"), server: yield* open("server") }
        const watched = { client: yield* watch(sockets.client), server: yield* watch(sockets.server) }
        const runtime = yield* Effect.runtime<never>()
        const real = new Real((effect) => Effect.runPromiseWith(runtime)(effect), pair, sockets, watched)
        const model: Model = {
          sent: { client: [], server: [] },
          stalled: { client: false, server: false },
          closed: [],
          arrived: new Set()
        }
        yield* Effect.promise(() => fc.asyncModelRun(() => ({ model, real }), program))

        yield* pair.unstall
        yield* clock.pass(0)
        const [first] = model.closed
        if (first !== undefined) {
          // What was said before a Close arrives before it.
          assert.deepStrictEqual(watched[other(first)].received, model.sent[first])
        }
        const releasing = yield* Effect.forkChild(Scope.close(scope, Exit.void))
        yield* clock.pass(closeTimeout + 1000)
        yield* Fiber.await(releasing)
        for (const role of roles) {
          const { clean, received, sent } = yield* assertOver(sockets[role], watched[role])
          assert.isTrue(clean)
          if (model.closed.length === 1 && first !== undefined) {
            const code = first === "client" ? 4001 : 4002
            assert.deepStrictEqual([sent?.code, received?.code], [code, code])
          }
        }
        yield* noAlarms
      }),
      clock
    )
  })

describe("a random program of both endpoints", () => {
  it("goes as the model says", () =>
    fc.assert(
      fc.asyncProperty(commands, (program) => Effect.runPromise(runProgram(program))),
      { numRuns: 100 }
    ))
})
