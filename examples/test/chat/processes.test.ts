import { WebSocketClient, type WebSocket } from "@effect-websocket/platform"
import { NodeWebSocketClient } from "@effect-websocket/platform/node"
import { afterAll, assert, describe, it } from "@effect/vitest"
import { Deferred, Effect, type Scope } from "effect"
import { spawn } from "node:child_process"
import { once } from "node:events"
import { rmSync } from "node:fs"
import { type AddressInfo, connect, createServer, type Socket } from "node:net"
import { join } from "node:path"
import { createInterface } from "node:readline"
import { hasRedis, RedisServer } from "../../../packages/topics-redis/test/redis.js"
import { decodeServer, encodeClient, type Position, type Say, type ServerMessage } from "../../src/chat/Protocol.js"
import { newest } from "../../src/chat/Rooms.js"
import { bundle } from "../bundle.js"

const folder = hasRedis ? bundle("chat/main", "chat/cluster") : undefined
afterAll(() => (folder === undefined ? undefined : rmSync(folder, { recursive: true, force: true })))

const startRedis = Effect.acquireRelease(
  Effect.promise(() => RedisServer.start()),
  (redis) => Effect.promise(() => redis.stop())
)

/** A program of the chat. It ends with the scope. */
const startServer = (name: "main" | "cluster", redis: RedisServer, ...options: ReadonlyArray<string>) =>
  Effect.gen(function* () {
    const child = yield* Effect.acquireRelease(
      Effect.sync(() =>
        spawn(
          process.execPath,
          [join(String(folder), `${name}.mjs`), "--port", "0", "--redis", redis.url, ...options],
          {
            stdio: ["ignore", "pipe", "inherit"]
          }
        )
      ),
      (child) => Effect.sync(() => child.kill("SIGKILL"))
    )
    const [line] = yield* Effect.promise(() => once(createInterface({ input: child.stdout }), "line"))
    const port = Number(/^listening on http:\/\/127\.0\.0\.1:(\d+)$/.exec(String(line))?.[1])
    return { child, port }
  })

/** A proxy that passes connections to the ports in turn, and leaves out those where nobody listens. */
const startProxy = (ports: ReadonlyArray<number>) =>
  Effect.gen(function* () {
    const sockets = new Set<Socket>()
    let turn = 0
    const pass = (near: Socket, attempts: number) => {
      const far = connect(ports[turn++ % ports.length] ?? 0, "127.0.0.1")
      sockets.add(near).add(far)
      near.once("close", () => far.destroy())
      far.once("connect", () => {
        far.once("close", () => near.destroy())
        near.pipe(far).pipe(near)
      })
      far.on("error", () => (far.connecting && attempts > 1 ? pass(near, attempts - 1) : near.destroy()))
    }
    const server = createServer((near) => {
      near.on("error", () => {})
      pass(near, ports.length)
    })
    yield* Effect.acquireRelease(
      Effect.promise(() => once(server.listen(0, "127.0.0.1"), "listening")),
      () =>
        Effect.sync(() => {
          server.close()
          for (const socket of sockets) socket.destroy()
        })
    )
    return (server.address() as AddressInfo).port
  })

/** Somebody in the room, who does what the page does. */
class Person {
  readonly name: string
  /** What is said, and `"GAP"` if messages are missing. */
  readonly log: Array<string> = []
  readonly here = new Set<string>()
  visits = 0
  private at: Position | undefined
  private socket: WebSocket.WebSocket | undefined
  private readonly unpublished = new Map<string, { readonly say: Say; readonly isPublished: Deferred.Deferred<void> }>()
  private readonly watchers = new Set<() => void>()

  constructor(name: string) {
    this.name = name
  }

  /** Comes back whenever the connection ends. */
  visit(port: number): Effect.Effect<never, never, WebSocketClient.WebSocketClient> {
    const once = Effect.gen(this, function* () {
      const socket = yield* WebSocketClient.connect(`ws://127.0.0.1:${port}/socket`)
      const since = this.at === undefined ? {} : { since: this.at }
      const key = `the secret of ${this.name}`
      yield* socket.send(encodeClient({ _tag: "Join", room: "tea", name: this.name, key, ...since }))
      this.visits++
      yield* socket.run(({ data }) => Effect.flatMap(decodeServer(data), (message) => this.hear(socket, message)))
    })
    return Effect.forever(Effect.delay(Effect.ignore(Effect.scoped(once)), "20 millis"))
  }

  /** Succeeds once everybody, and so this person, has been told. */
  say(text: string): Effect.Effect<void> {
    return Effect.gen(this, function* () {
      const say: Say = { _tag: "Say", id: `${text}, said just once`, text }
      const isPublished = yield* Deferred.make<void>()
      this.unpublished.set(say.id, { say, isPublished })
      if (this.socket !== undefined) yield* Effect.ignore(this.socket.send(encodeClient(say)))
      yield* Deferred.await(isPublished)
    })
  }

  until(isSo: () => boolean): Effect.Effect<void> {
    return Effect.async((resume) => {
      const watch = () => {
        if (!isSo()) return
        this.watchers.delete(watch)
        resume(Effect.void)
      }
      this.watchers.add(watch)
      watch()
    })
  }

  private hear(socket: WebSocket.WebSocket, message: ServerMessage): Effect.Effect<void> {
    return Effect.gen(this, function* () {
      switch (message._tag) {
        case "Started":
          this.goOn(message.position)
          break
        case "Said": {
          const { epoch, offset } = message.position
          this.goOn({ epoch, offset: offset - 1 })
          this.at = message.position
          this.log.push(message.text)
          const own = this.unpublished.get(message.id)
          this.unpublished.delete(message.id)
          if (own !== undefined) yield* Deferred.succeed(own.isPublished, undefined)
          break
        }
        case "Present":
          this.here.clear()
          for (const { name } of message.people) this.here.add(name)
          this.socket = socket
          for (const { say } of this.unpublished.values()) yield* Effect.ignore(socket.send(encodeClient(say)))
          break
        case "Changed":
          for (const { name } of message.entered) this.here.add(name)
          for (const { name } of message.left) this.here.delete(name)
      }
      for (const watch of this.watchers) watch()
    })
  }

  private goOn(position: Position): void {
    const { at } = this
    if (at !== undefined && (at.epoch !== position.epoch || at.offset !== position.offset)) this.log.push("GAP")
    this.at = position
  }
}

const each = <A, E, R>(people: ReadonlyArray<Person>, run: (person: Person) => Effect.Effect<A, E, R>) =>
  Effect.forEach(people, run, { concurrency: "unbounded", discard: true })

const enter = (name: string, port: number) =>
  Effect.gen(function* () {
    const person = new Person(name)
    yield* Effect.forkScoped(person.visit(port))
    yield* person.until(() => person.here.has(name))
    return person
  })

const names = ["Ada", "Bob", "Cem", "Dee"]
const perPerson = 15

const oneIsKilled = Effect.gen(function* () {
  const redis = yield* startRedis
  const [first, second] = yield* Effect.all([startServer("main", redis), startServer("main", redis)], {
    concurrency: 2
  })
  const port = yield* startProxy([first.port, second.port])

  // In turn, so that each process has two of them.
  const people = yield* Effect.forEach(names, (name) => enter(name, port))
  yield* each(people, (person) => person.until(() => person.here.size === names.length))

  const [ada] = people
  assert.isDefined(ada)
  yield* Effect.forkScoped(
    Effect.andThen(
      ada.until(() => ada.log.length >= names.length * 5),
      Effect.sync(() => first.child.kill("SIGKILL"))
    )
  )
  // Each says the next thing once the one before was published.
  yield* each(people, (person) =>
    Effect.forEach(Array(perPerson).keys(), (n) => person.say(`${person.name} ${n}`), { discard: true })
  )
  const all = names.length * perPerson
  yield* each(people, (person) => person.until(() => person.log.length >= all))
  assert.strictEqual(first.child.signalCode, "SIGKILL")
  assert.sameMembers(
    people.map(({ visits }) => visits),
    [1, 1, 2, 2]
  )

  // Everybody has everything, once, in one order, which is that of each author. Nobody was ever away for the others.
  for (const { log } of people) assert.deepStrictEqual(log, ada.log)
  for (const name of names) {
    assert.deepStrictEqual(
      ada.log.filter((text) => text.startsWith(name)),
      Array.from({ length: perPerson }, (_, n) => `${name} ${n}`)
    )
  }
  yield* each(people, (person) => person.until(() => person.here.size === names.length))

  // As after a reload of the page.
  const eve = yield* enter("Eve", port)
  assert.deepStrictEqual(eve.log, ada.log.slice(-newest))
  yield* each(people, (person) => person.until(() => person.here.has("Eve")))

  // What is lost with the broker is a gap, and then they go on.
  yield* Effect.promise(() => redis.restartEmpty())
  yield* each(people, (person) => person.until(() => person.log.includes("GAP")))
  yield* eve.say("Has anybody seen the rest?")
  yield* each(people, (person) => person.until(() => person.log.at(-1) === "Has anybody seen the rest?"))
})

const oneForEachCore = Effect.gen(function* () {
  const { child, port } = yield* startServer("cluster", yield* startRedis, "--workers", "2")
  const people = yield* Effect.forEach(names, (name) => enter(name, port))
  yield* each(people, (person) => person.until(() => person.here.size === names.length))
  yield* each(people, (person) => person.say(`${person.name} is here`))
  yield* each(people, (person) => person.until(() => person.log.length === names.length))
  const exit = once(child, "exit")
  child.kill("SIGTERM")
  assert.deepStrictEqual(yield* Effect.promise(() => exit), [0, null])
})

const wrongOptions: ReadonlyArray<readonly [ReadonlyArray<string>, string]> = [
  [["--redis", "redis://127.0.0.1:1", "--workers", "2", "--bogus"], "Received unknown argument: '--bogus'"],
  // Each process would be a chat of its own.
  [["--workers", "2"], "Expected to find option: '--redis'"],
  [["--redis", "127.0.0.1:6379"], "--redis is the URL of a Redis server, such as redis://127.0.0.1:6379"]
]

/** The exit code of a cluster that ends by itself, and what it has printed. */
const ended = (options: ReadonlyArray<string>) =>
  Effect.gen(function* () {
    const child = yield* Effect.acquireRelease(
      Effect.sync(() => spawn(process.execPath, [join(String(folder), "cluster.mjs"), ...options])),
      (child) => Effect.sync(() => child.kill("SIGKILL"))
    )
    const printed: Array<string> = []
    for (const output of [child.stdout, child.stderr]) {
      output.on("data", (chunk: Buffer) => printed.push(chunk.toString()))
    }
    const [code] = yield* Effect.promise(() => once(child, "close"))
    return [code, printed.join("").trim()]
  })

describe.skipIf(!hasRedis)("processes over Redis", () => {
  it.scopedLive("do not begin with a wrong option, which is told once", () =>
    Effect.forEach(
      wrongOptions,
      ([options, told]) => Effect.map(ended(options), (end) => assert.deepStrictEqual(end, [1, told])),
      { concurrency: "unbounded" }
    )
  )

  const test = (name: string, scenario: Effect.Effect<void, unknown, Scope.Scope | WebSocketClient.WebSocketClient>) =>
    it.scopedLive(name, () => Effect.provide(scenario, NodeWebSocketClient.layer))

  test("are one chat behind a proxy, also if one of them is killed while people talk", oneIsKilled)
  test("are one chat on one port, and end together", oneForEachCore)
})
