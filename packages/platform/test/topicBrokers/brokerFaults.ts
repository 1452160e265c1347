/** What happens to any broker when its server, a connection or a process fails. Packages that have one call `brokerFaults` in their tests. */
import type { Service } from "@effect-websocket/platform/TopicBroker"
import { Effect, Exit, Fiber, Scope } from "../effect/index.js"
import { assert, it } from "../effect/vitest.js"
import { eventually, freshTopic, listen, numbers, publish, textOf, until, untilTrue } from "./operations.js"
import { Proxy } from "./Proxy.js"

/** A broker and its server. */
export interface Subject {
  /** The server, once the tests run. */
  readonly server: () => {
    readonly port: number
    signal(name: "SIGSTOP" | "SIGCONT"): void
    /** Ends the process as a crash does, and starts another one without its data. */
    restartEmpty(): Promise<void>
  }
  /** A broker over this port that notices soon when something is wrong. Its `timeout` is one second. */
  readonly node: (
    port: number,
    options?: {
      readonly timeout?: "100 millis"
      readonly prefix?: string
      readonly history?: { readonly maxPublications?: number; readonly maxAge?: "100 millis" }
    }
  ) => Effect.Effect<Service, never, Scope.Scope>
  /** How many connections a broker has. */
  readonly connections: number
  /** What an error says if there is no server. */
  readonly refused: string
}

const ann = { key: "ann", session: "1", meta: "{}" }

/** An address that leads to this port, until the scope ends. */
export const proxyTo = (port: number): Effect.Effect<Proxy, never, Scope.Scope> =>
  Effect.acquireRelease(
    Effect.promise(() => Proxy.start(port)),
    (proxy) => Effect.sync(() => proxy.stop())
  )

export const brokerFaults = ({ connections, node, refused, server }: Subject): void => {
  const here = Effect.suspend(() => node(server().port))

  it.live("a subscriber whose connection is cut while others publish is told, and the history has the rest", () =>
    Effect.gen(function* () {
      const proxy = yield* proxyTo(server().port)
      const [publisher, subscriber] = [yield* here, yield* node(proxy.port)]
      const topic = freshTopic()
      const { position, seen } = yield* listen(subscriber, topic)
      const publishing = yield* Effect.forkChild(
        Effect.forEach(numbers(1, 200), (text) =>
          Effect.andThen(publish(publisher, topic, text), Effect.sleep("1 millis"))
        )
      )
      yield* untilTrue(() => seen.length > 20)
      proxy.cut()
      yield* untilTrue(() => seen.includes("!"))
      const interruption = seen.indexOf("!")
      const behind = { ...position, offset: interruption }
      // What was published before the sign is in the history, and the rest arrives behind the sign.
      const page = yield* subscriber.history(topic, { since: behind, limit: 1000 })
      yield* Fiber.join(publishing)
      yield* untilTrue(() => seen.at(-1) === "200")
      assert.deepStrictEqual(seen.slice(0, interruption), numbers(1, interruption))
      assert.isTrue(page.isComplete)
      const recovered = page.publications.map(textOf)
      assert.deepStrictEqual(
        [...new Set([...recovered, ...seen.slice(interruption + 1)])],
        numbers(interruption + 1, 200)
      )
    })
  )

  it.live("a server that was started again without its data has new epochs, and every subscription is told", () =>
    Effect.gen(function* () {
      const broker = yield* here
      const topic = freshTopic()
      const { position, seen, epochs } = yield* listen(broker, topic)
      yield* publish(broker, topic, "before")
      yield* broker.presence.set(topic, ann, "1 minute")
      yield* untilTrue(() => seen.length === 1)
      yield* Effect.promise(() => server().restartEmpty())
      yield* untilTrue(() => seen.includes("!"))
      const after = yield* eventually(publish(broker, topic, "after"))
      yield* untilTrue(() => seen.includes("after"))
      assert.strictEqual(epochs.size, 2)
      assert.notStrictEqual(after.position.epoch, position.epoch)
      assert.isFalse((yield* broker.history(topic, { since: position, limit: 10 })).isComplete)
      assert.deepStrictEqual(yield* broker.presence.list(topic), [])
      yield* broker.presence.set(topic, ann, "1 minute")
      assert.deepStrictEqual(yield* broker.presence.list(topic), [ann])
    })
  )

  it.live("a server that does not reply makes operations fail in time, and a subscriber loses nothing", () =>
    Effect.gen(function* () {
      const broker = yield* here
      const topic = freshTopic()
      const { seen } = yield* listen(broker, topic)
      const { position } = yield* publish(broker, topic, "one")
      yield* untilTrue(() => seen.includes("one"))
      server().signal("SIGSTOP")
      // It may still reply to what comes before the signal does.
      const late = yield* Effect.flip(Effect.forever(publish(broker, topic, "late")))
      assert.include(late.message, "did not answer within 1000 ms")
      const failing = Effect.all(
        [
          Effect.flip(publish(broker, topic, "maybe")),
          Effect.flip(broker.position(topic)),
          Effect.flip(broker.presence.list(topic))
        ],
        { concurrency: "unbounded" }
      )
      const failures = yield* failing
      // By the end of this, a heartbeat of the subscriber has failed, too.
      yield* failing
      server().signal("SIGCONT")
      assert.deepStrictEqual(
        failures.map(({ reason }) => reason),
        ["Unavailable", "Unavailable", "Unavailable"]
      )
      yield* eventually(publish(broker, topic, "two"))
      yield* untilTrue(() => seen.includes("!"))
      const page = yield* eventually(broker.history(topic, { since: position, limit: 10 }))
      assert.isTrue(page.isComplete)
      assert.strictEqual(page.publications.map(textOf).at(-1), "two")
    }).pipe(Effect.ensuring(Effect.sync(() => server().signal("SIGCONT"))))
  )

  it.live("two processes share topics, removals included", () =>
    Effect.gen(function* () {
      const [one, other] = [yield* here, yield* here]
      const topic = freshTopic()
      const [ours, theirs] = [yield* listen(one, topic), yield* listen(other, topic)]
      for (const text of numbers(1, 20)) yield* publish(Number(text) % 2 === 0 ? one : other, topic, text)
      yield* untilTrue(() => ours.seen.length >= 20 && theirs.seen.length >= 20)
      // Each publication once, also to the process that has published it.
      assert.deepStrictEqual([ours.seen, theirs.seen], [numbers(1, 20), numbers(1, 20)])
      yield* one.remove(topic)
      yield* untilTrue(() => ours.seen.includes("!") && theirs.seen.includes("!"))
      assert.notStrictEqual((yield* other.position(topic)).epoch, ours.position.epoch)
      yield* one.remove(freshTopic())
    })
  )

  it.live("processes with different prefixes have different topics", () =>
    Effect.gen(function* () {
      const [one, other] = [yield* here, yield* node(server().port, { prefix: "other" })]
      const topic = freshTopic()
      const { seen } = yield* listen(one, topic)
      yield* publish(other, topic, "elsewhere")
      yield* publish(one, topic, "here")
      yield* untilTrue(() => seen.length > 0)
      assert.deepStrictEqual(seen, ["here"])
    })
  )

  it.live("the history is bounded by its publications, and no publication is missing in what is left", () =>
    Effect.gen(function* () {
      const broker = yield* node(server().port, { history: { maxPublications: 3 } })
      const topic = freshTopic()
      const start = yield* broker.position(topic)
      for (const text of numbers(1, 5)) yield* publish(broker, topic, text)
      const all = yield* broker.history(topic, { limit: 10 })
      assert.deepStrictEqual(all.publications.map(textOf), numbers(3, 5))
      assert.isFalse((yield* broker.history(topic, { since: { ...start, offset: 1 }, limit: 10 })).isComplete)
      assert.isTrue((yield* broker.history(topic, { since: { ...start, offset: 2 }, limit: 10 })).isComplete)
    })
  )

  it.live("the history is bounded by its age", () =>
    Effect.gen(function* () {
      const broker = yield* node(server().port, { history: { maxAge: "100 millis" } })
      const topic = freshTopic()
      const { position } = yield* publish(broker, topic, "old")
      const page = broker.history(topic, { since: { ...position, offset: 0 }, limit: 10 })
      yield* until(Effect.map(page, ({ isComplete }) => !isComplete))
      assert.deepStrictEqual((yield* broker.history(topic, { limit: 10 })).publications, [])
      assert.deepStrictEqual((yield* publish(broker, topic, "new")).position, { ...position, offset: 2 })
    })
  )

  it.live("the sessions of a process that crashed leave when they expire, once", () =>
    Effect.gen(function* () {
      const watchers = [yield* here, yield* here] as const
      const topic = freshTopic()
      const left: Array<string> = []
      const watch = (watcher: Service) =>
        watcher.presence.changes(topic, (change) => {
          if (change._tag === "Left") left.push(change.entry.key)
        })
      const scope = yield* Scope.make()
      const crashing = yield* Scope.provide(here, scope)
      yield* watch(watchers[0])
      yield* crashing.presence.set(topic, { ...ann, key: "bob" }, "1 minute")
      yield* crashing.presence.set(topic, ann, "300 millis")
      // This one finds both of them.
      yield* watch(watchers[1])
      yield* Scope.close(scope, Exit.void)
      assert.strictEqual((yield* watchers[1].presence.list(topic)).length, 2)
      // Nobody asks: the watchers notice by themselves.
      yield* untilTrue(() => left.length >= 2)
      const rest = yield* watchers[1].presence.list(topic)
      assert.deepStrictEqual(
        rest.map(({ key }) => key),
        ["bob"]
      )
      yield* watchers[0].presence.remove(topic, "bob", "1")
      yield* untilTrue(() => left.length >= 4)
      assert.deepStrictEqual(left, ["ann", "ann", "bob", "bob"])
    })
  )

  it.live("a server that is not there makes operations fail in time", () =>
    Effect.gen(function* () {
      const broker = yield* node(1, { timeout: "100 millis" })
      const failure = yield* Effect.flip(publish(broker, "topic", "text"))
      assert.deepStrictEqual([failure.reason, failure.message.includes(refused)], ["Unavailable", true])
      const subscribing = yield* Effect.flip(Effect.scoped(broker.subscribe("topic", () => {})))
      assert.strictEqual(subscribing.reason, "Unavailable")
    })
  )

  it.live("the connections of a broker end with its scope, also while it begins, and a subscription with its own", () =>
    Effect.gen(function* () {
      const proxy = yield* proxyTo(server().port)
      const scope = yield* Scope.make()
      const broker = yield* Scope.provide(node(proxy.port), scope)
      for (let round = 0; round < 20; round++) {
        const fiber = yield* Effect.forkChild(Effect.scoped(broker.subscribe(freshTopic(), () => {})))
        for (let turn = 0; turn < round; turn++) yield* Effect.yieldNow
        yield* Fiber.interrupt(fiber)
      }
      yield* broker.position(freshTopic())
      assert.strictEqual(proxy.connectionCount, connections)
      yield* Scope.close(scope, Exit.void)
      yield* Effect.scoped(node(proxy.port))
      yield* untilTrue(() => proxy.connectionCount === 0)
      assert.include((yield* Effect.flip(broker.position("topic"))).message, "has ended")
    })
  )
}
