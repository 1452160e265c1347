import { Topics } from "@effect-websocket/platform"
import type { TopicBroker } from "@effect-websocket/platform"
import type { ConnectionError } from "@effect-websocket/protocol/Errors"
import { Stream } from "effect"
import { Deferred, Effect, Exit, Fiber, Layer, Logger, Scope, TestClock } from "./effect/index.js"
import { assert, describe, it } from "./effect/vitest.js"
import { connected, finalizersIn, isPending, outcome, settled } from "./support.js"
import { showTopicEvent as show } from "./showTopicEvent.js"

/** A subscription whose elements are shown as they arrive. */
const listen = (topic: string, options?: Topics.SubscribeOptions) =>
  Effect.gen(function* () {
    const topics = yield* Topics.Topics
    const seen: Array<string> = []
    const fiber = yield* Effect.forkScoped(
      Stream.runForEach(topics.subscribe(topic, options), (event) => Effect.sync(() => void seen.push(show(event))))
    )
    yield* settled
    return { fiber, seen }
  })

const withTopics = <A, E>(test: Effect.Effect<A, E, Topics.Topics | Scope.Scope>): Effect.Effect<A, E, Scope.Scope> =>
  Effect.provide(test, Topics.layer())

const positionAt = ({ epoch }: TopicBroker.Position, offset: number): TopicBroker.Position => ({ epoch, offset })

describe("subscribe", () => {
  it.effect("begins now, and gets what is published from then on", () =>
    withTopics(
      Effect.gen(function* () {
        const topics = yield* Topics.Topics
        yield* topics.publish("a", "before")
        const { seen } = yield* listen("a")
        yield* topics.publish("a", "one")
        yield* topics.publish("b", "elsewhere")
        yield* topics.publish("a", "two")
        yield* settled
        assert.deepStrictEqual(seen, ["New 1", "2 one", "3 two"])
      })
    )
  )

  it.effect("recovers what was missed", () =>
    withTopics(
      Effect.gen(function* () {
        const topics = yield* Topics.Topics
        const start = yield* topics.position("a")
        for (let n = 1; n <= 600; n++) yield* topics.publish("a", `m${n}`)
        const { seen } = yield* listen("a", { since: positionAt(start, 2) })
        yield* topics.publish("a", "m601")
        yield* settled
        assert.strictEqual(seen[0], "Recovered 2, missed 598")
        assert.deepStrictEqual(
          seen.slice(1),
          Array.from({ length: 599 }, (_, index) => `${index + 3} m${index + 3}`)
        )
      })
    )
  )

  it.effect("says gap if the history no longer has it", () =>
    withTopics(
      Effect.gen(function* () {
        const topics = yield* Topics.Topics
        yield* topics.publish("a", "one")
        const { seen } = yield* listen("a", { since: { epoch: "old", offset: 1 } })
        yield* topics.publish("a", "two")
        yield* settled
        assert.deepStrictEqual(seen, ["Gap 1", "2 two"])
      })
    )
  )
})

describe("attach", () => {
  it.effect("sends publications to a connection until the scope ends", () =>
    withTopics(
      Effect.gen(function* () {
        const topics = yield* Topics.Topics
        const { client, server } = yield* connected()
        const scope = yield* Scope.make()
        const started = yield* Scope.provide(topics.attach(server, "a"), scope)
        assert.strictEqual(started._tag, "New")
        yield* topics.publish("a", "one")
        yield* topics.publish("a", "not to the sender", { except: server })
        yield* topics.publish("a", Uint8Array.of(1, 2))
        assert.strictEqual((yield* client.receive).data, "one")
        assert.deepStrictEqual((yield* client.receive).data, Uint8Array.of(1, 2))
        assert.strictEqual(yield* topics.memberCount("a"), 1)
        yield* Scope.close(scope, Exit.void)
        assert.strictEqual(yield* topics.memberCount("a"), 0)
        yield* topics.publish("a", "nobody")
        yield* server.send("last")
        assert.strictEqual((yield* client.receive).data, "last")
      })
    )
  )

  it.effect("ends with the connection, and by detach", () =>
    withTopics(
      Effect.gen(function* () {
        const topics = yield* Topics.Topics
        const { pair, server } = yield* connected()
        yield* topics.attach(server, "a")
        yield* topics.attach(server, "b")
        assert.strictEqual((yield* Effect.flip(topics.attach(server, "a")))._tag, "Topic_error")
        yield* topics.detach(server, "a")
        assert.deepStrictEqual([yield* topics.memberCount("a"), yield* topics.memberCount("b")], [0, 1])
        yield* pair.reset
        yield* server.closeStatus
        assert.strictEqual(yield* topics.memberCount("b"), 0)
        const error = yield* Effect.flip(topics.attach(server, "a"))
        assert.notStrictEqual(error._tag, "Topic_error")
      })
    )
  )

  it.effect.each([3, 40])("a connection leaves any of %i topics, in any order, and the rest with its end", (count) =>
    withTopics(
      Effect.gen(function* () {
        const topics = yield* Topics.Topics
        const { pair, server } = yield* connected()
        const names = Array.from({ length: count }, (_, index) => `t${index}`)
        const isMember = (name: string) => Effect.map(topics.memberCount(name), (members) => members === 1)
        const expectMembers = (expected: ReadonlyArray<string>) =>
          Effect.map(Effect.filter(names, isMember), (found) => assert.deepStrictEqual(found, expected))
        for (const name of names) yield* topics.attach(server, name)
        yield* expectMembers(names)
        const kept = names.filter((_, index) => index % 3 === 1)
        for (const name of names) if (!kept.includes(name)) yield* topics.detach(server, name)
        yield* expectMembers(kept)
        for (const name of names) {
          const failure = yield* Effect.flip(
            Effect.andThen(topics.attach(server, name), Effect.fail({ _tag: "attached" as const }))
          )
          assert.strictEqual(failure._tag, kept.includes(name) ? "Topic_error" : "attached")
        }
        yield* expectMembers(names)
        yield* pair.reset
        yield* server.closeStatus
        yield* expectMembers([])
      })
    )
  )

  it.effect("sends what was missed first", () =>
    withTopics(
      Effect.gen(function* () {
        const topics = yield* Topics.Topics
        const { client, server } = yield* connected()
        const start = yield* topics.position("a")
        for (let n = 1; n <= 300; n++) yield* topics.publish("a", `m${n}`)
        const attached = yield* Effect.forkChild(topics.attach(server, "a", { since: start, encode: show }))
        const got: Array<string> = []
        for (let n = 0; n <= 300; n++) got.push(String((yield* client.receive).data))
        yield* Fiber.join(attached)
        yield* topics.publish("a", "m301")
        got.push(String((yield* client.receive).data))
        assert.deepStrictEqual(got, [
          "Recovered 0, missed 300",
          ...Array.from({ length: 301 }, (_, index) => `${index + 1} m${index + 1}`)
        ])
      })
    )
  )
})

const narrow = { sendHighWaterMark: 100, sendLowWaterMark: 1 }
const large = "x".repeat(200)

/** A connection that is attached, whose peer does not read, so that the next message has to wait. */
const slowMember = (options: Topics.AttachOptions) =>
  Effect.gen(function* () {
    const topics = yield* Topics.Topics
    const { client, pair, server } = yield* connected(narrow)
    yield* topics.attach(server, "a", options)
    yield* pair.serverToClient.stall
    yield* Effect.forkChild(server.send(large))
    yield* settled
    /** What the client gets besides the message that fills its connection. */
    const received = (count: number) =>
      Effect.gen(function* () {
        yield* pair.serverToClient.unstall
        yield* client.receive
        const got: Array<string> = []
        for (let n = 0; n < count; n++) got.push(String((yield* client.receive).data))
        return got
      })
    return { client, received, server, topics }
  })

describe("a slow connection", () => {
  it.effect("makes publishers wait if it asks for that, and nobody else", () =>
    withTopics(
      Effect.gen(function* () {
        const { received, topics } = yield* slowMember({ slowStrategy: "suspend" })
        const other = yield* connected()
        yield* topics.attach(other.server, "a")
        const publishing = yield* Effect.forkChild(topics.publish("a", "one"))
        assert.strictEqual((yield* other.client.receive).data, "one")
        const interrupted = yield* Effect.forkChild(topics.publish("a", "two"))
        assert.strictEqual((yield* other.client.receive).data, "two")
        assert.deepStrictEqual([yield* isPending(publishing), yield* isPending(interrupted)], [true, true])
        // It has happened, and whoever waits for it may go.
        yield* Fiber.interrupt(interrupted)
        yield* topics.publish("b", "elsewhere")
        assert.deepStrictEqual(yield* received(2), ["one", "two"])
        assert.strictEqual((yield* Fiber.join(publishing)).offset, 1)
      })
    )
  )

  it.effect("lets publishers go on if it ends", () =>
    withTopics(
      Effect.gen(function* () {
        const { server, topics } = yield* slowMember({ slowStrategy: "suspend" })
        const publishing = yield* Effect.forkChild(topics.publish("a", "one"))
        assert.isTrue(yield* isPending(publishing))
        yield* server.abort
        assert.strictEqual((yield* Fiber.join(publishing)).offset, 1)
      })
    )
  )

  it.effect("is closed if it makes publishers wait and they do not", () =>
    withTopics(
      Effect.gen(function* () {
        const { server, topics } = yield* slowMember({ slowStrategy: "suspend" })
        for (let n = 0; n < 1024; n++) yield* Effect.forkChild(topics.publish("a", "x"))
        yield* settled
        assert.isTrue(yield* server.isOpen)
        yield* Effect.forkChild(topics.publish("a", "x"))
        yield* settled
        assert.isFalse(yield* server.isOpen)
      })
    )
  )

  it.effect("may miss what is published meanwhile, and is told so", () =>
    withTopics(
      Effect.gen(function* () {
        const { client, received, topics } = yield* slowMember({
          slowStrategy: "dropping",
          encode: (event) => (event._tag === "New" ? undefined : show(event))
        })
        yield* topics.publish("a", "one")
        yield* topics.publish("a", "two")
        assert.deepStrictEqual(yield* received(0), [])
        yield* settled
        yield* topics.publish("a", "three")
        assert.deepStrictEqual([(yield* client.receive).data, (yield* client.receive).data], ["Gap 2", "3 three"])
      })
    )
  )

  it.effect("may keep the newest that have room", () =>
    withTopics(
      Effect.gen(function* () {
        const { received, topics } = yield* slowMember({ slowStrategy: "sliding" })
        for (const text of ["one", "two", "three"]) yield* topics.publish("a", text.repeat(5))
        assert.deepStrictEqual(yield* received(1), ["threethreethreethreethree"])
      })
    )
  )

  it.effect("may be closed, with a code of its own", () =>
    withTopics(
      Effect.gen(function* () {
        for (const [slowCloseCode, sent] of [
          [undefined, 1008],
          [4008, 4008],
          ["TryAgainLater", 1013]
        ] as const) {
          const { received, server, topics } = yield* slowMember({ slowCloseCode })
          yield* topics.publish("a", "one")
          yield* Effect.flip(received(1))
          assert.deepStrictEqual(outcome(yield* server.closeStatus).slice(0, 1), [sent])
          assert.strictEqual(yield* topics.memberCount("a"), 0)
        }
      })
    )
  )
})

/** A stream whose reader stops at the first element, until `goOn`. */
const slowReader = (topic: string, options: Topics.SubscribeOptions) =>
  Effect.gen(function* () {
    const topics = yield* Topics.Topics
    const latch = yield* Deferred.make<void>()
    const seen: Array<string> = []
    const fiber = yield* Effect.forkScoped(
      Stream.runForEach(topics.subscribe(topic, options), (event) => {
        seen.push(show(event))
        return Deferred.await(latch)
      })
    )
    yield* settled
    return { fiber, goOn: Effect.andThen(Deferred.succeed(latch, undefined), settled), seen, topics }
  })

describe("a slow reader of a stream", () => {
  // Each of these publications counts 65 bytes.
  const maxWaitingBytes = 130

  it.effect("fails by default", () =>
    withTopics(
      Effect.gen(function* () {
        const { fiber, goOn, seen, topics } = yield* slowReader("a", { maxWaitingBytes })
        for (const text of ["1", "2", "3", "4"]) yield* topics.publish("a", text)
        yield* goOn
        const error = yield* Effect.flip(Fiber.join(fiber))
        assert.deepStrictEqual([error.reason, error.max, error.topic], ["TooSlow", 130, "a"])
        assert.deepStrictEqual(seen, ["New 0", "1 1", "2 2"])
        assert.strictEqual(yield* topics.memberCount("a"), 0)
      })
    )
  )

  it.effect("may miss the newest or the oldest, and is told where", () =>
    withTopics(
      Effect.gen(function* () {
        const dropping = yield* slowReader("a", { maxWaitingBytes, slowStrategy: "dropping" })
        const sliding = yield* slowReader("a", { maxWaitingBytes, slowStrategy: "sliding" })
        for (const text of ["1", "2", "3", "4", "5"]) yield* dropping.topics.publish("a", text)
        yield* dropping.goOn
        yield* sliding.goOn
        yield* dropping.topics.publish("a", "6")
        yield* settled
        assert.deepStrictEqual(dropping.seen, ["New 0", "1 1", "2 2", "Gap 5", "6 6"])
        assert.deepStrictEqual(sliding.seen, ["New 0", "Gap 3", "4 4", "5 5", "6 6"])
      })
    )
  )

  it.effect("may make publishers wait, and reads from the history what does not", () =>
    withTopics(
      Effect.gen(function* () {
        const { goOn, seen, topics } = yield* slowReader("a", { maxWaitingBytes, slowStrategy: "suspend" })
        yield* topics.publish("a", "1")
        yield* topics.publish("a", "2")
        const publishing = yield* Effect.forkChild(topics.publish("a", "3"))
        assert.isTrue(yield* isPending(publishing))
        for (let n = 4; n <= 50; n++) yield* Effect.forkChild(topics.publish("a", String(n)))
        yield* settled
        yield* goOn
        yield* Fiber.join(publishing)
        yield* topics.publish("a", "51")
        yield* settled
        assert.deepStrictEqual(seen, [
          "New 0",
          ...Array.from({ length: 51 }, (_, index) => `${index + 1} ${index + 1}`)
        ])
      })
    )
  )
})

describe("where a subscriber begins", () => {
  it.effect("may be before the newest publications", () =>
    withTopics(
      Effect.gen(function* () {
        const topics = yield* Topics.Topics
        for (const text of ["one", "two", "three"]) yield* topics.publish("a", text)
        assert.deepStrictEqual((yield* listen("a", { last: 2 })).seen, ["New 1", "2 two", "3 three"])
        assert.deepStrictEqual((yield* listen("a", { last: 9 })).seen, ["New 0", "1 one", "2 two", "3 three"])
        assert.deepStrictEqual((yield* listen("b", { last: 9 })).seen, ["New 0"])
        const since = yield* topics.position("a")
        assert.deepStrictEqual((yield* listen("a", { last: 9, since })).seen, ["Recovered 3, missed 0"])
      })
    )
  )

  it.effect("is a gap in the next process, because the histories are lost with a process", () =>
    Effect.gen(function* () {
      const publish = Effect.flatMap(Topics.Topics, (topics) => topics.publish("a", "one"))
      const since = yield* withTopics(publish)
      const { seen } = yield* withTopics(Effect.andThen(publish, listen("a", { since })))
      assert.deepStrictEqual(seen, ["Gap 1"])
    })
  )

  it.effect("is a gap after the topic was removed, for members, too", () =>
    withTopics(
      Effect.gen(function* () {
        const topics = yield* Topics.Topics
        const { seen } = yield* listen("a")
        const raw = yield* connected()
        yield* topics.attach(raw.server, "a")
        const since = yield* topics.publish("a", "one")
        yield* topics.remove("a")
        yield* topics.publish("a", "two")
        yield* settled
        assert.deepStrictEqual(seen, ["New 0", "1 one", "Gap 0", "1 two"])
        assert.deepStrictEqual((yield* listen("a", { since })).seen, ["Gap 1"])
        // A peer that cannot be told of a gap has to begin again.
        assert.strictEqual((yield* raw.client.receive).data, "one")
        yield* Effect.flip(raw.client.receive)
        assert.deepStrictEqual(outcome(yield* raw.server.closeStatus).slice(0, 1), [1013])
      })
    )
  )
})

describe("names, and the ends of things", () => {
  it.effect("a name that is none is refused", () =>
    withTopics(
      Effect.gen(function* () {
        const topics = yield* Topics.Topics
        const { server } = yield* connected()
        const attempts: ReadonlyArray<Effect.Effect<unknown, ConnectionError | TopicBroker.TopicError, Scope.Scope>> = [
          topics.publish("a/*", "x"),
          Stream.runDrain(topics.subscribe("a//b")),
          topics.attach(server, ""),
          topics.position("/"),
          topics.history("a\n", { limit: 1 }),
          topics.remove("x".repeat(256))
        ]
        for (const attempt of attempts) {
          const error = yield* Effect.flip(attempt)
          assert(error._tag === "Topic_error")
          assert.strictEqual(error.reason, "InvalidName")
          assert.match(error.message, /cannot be the name of a topic: it /)
        }
      })
    )
  )

  it.effect("nothing of a membership is left in a scope that lasts", () =>
    withTopics(
      Effect.gen(function* () {
        const topics = yield* Topics.Topics
        const scope = yield* Scope.make()
        const { pair, server } = yield* connected()
        for (const topic of ["a", "b", "c"]) yield* Scope.provide(topics.attach(server, topic), scope)
        assert.strictEqual(finalizersIn(scope), 1)
        yield* topics.detach(server, "a")
        assert.strictEqual(finalizersIn(scope), 1)
        yield* pair.reset
        yield* server.closeStatus
        assert.strictEqual(finalizersIn(scope), 0)
        yield* Scope.close(scope, Exit.void)
        const { server: other } = yield* connected()
        const error = yield* Effect.flip(Scope.provide(topics.attach(other, "a"), scope))
        assert(error._tag === "Topic_error")
        assert.strictEqual(error.reason, "Detached")
        assert.strictEqual(yield* topics.memberCount("a"), 0)
      })
    )
  )

  it.effect("members are told when the topics end", () =>
    Effect.gen(function* () {
      const scope = yield* Scope.make()
      const context = yield* Layer.buildWithScope(Topics.layer(), scope)
      const { client, server } = yield* connected()
      const stream = yield* Effect.provide(listen("a"), context)
      yield* Effect.provide(
        Effect.flatMap(Topics.Topics, (topics) => topics.attach(server, "a")),
        context
      )
      yield* Scope.close(scope, Exit.void)
      const error = yield* Effect.flip(Fiber.join(stream.fiber))
      assert.strictEqual(error.reason, "Unavailable")
      yield* Effect.flip(client.receive)
      assert.deepStrictEqual(outcome(yield* server.closeStatus).slice(0, 1), [1013])
    })
  )

  it.effect("an `encode` that throws closes the connection, and no other one", () =>
    withTopics(
      Effect.gen(function* () {
        const topics = yield* Topics.Topics
        const bad = yield* connected()
        const good = yield* connected()
        yield* topics.attach(bad.server, "a", {
          encode: (event) => {
            if (event._tag === "Publication") throw new Error("a bug")
            return undefined
          }
        })
        yield* topics.attach(good.server, "a")
        yield* topics.publish("a", "one")
        assert.strictEqual((yield* good.client.receive).data, "one")
        yield* Effect.flip(bad.client.receive)
        assert.deepStrictEqual(outcome(yield* bad.server.closeStatus).slice(0, 1), [1011])
      })
    ).pipe(Effect.provide(Logger.withoutDefault))
  )

  it.effect("an `encode` that throws for a publication of the past closes the connection, too", () =>
    withTopics(
      Effect.gen(function* () {
        const topics = yield* Topics.Topics
        const { client, server } = yield* connected()
        yield* topics.publish("a", "one")
        const attached = yield* Effect.forkChild(
          topics.attach(server, "a", {
            last: 1,
            encode: (event) => {
              if (event._tag === "Publication") throw new Error("a bug")
              return undefined
            }
          })
        )
        yield* Effect.flip(client.receive)
        const error = yield* Effect.flip(Fiber.join(attached))
        assert.notStrictEqual(error._tag, "Topic_error")
        assert.deepStrictEqual(outcome(yield* server.closeStatus).slice(0, 1), [1011])
      })
    ).pipe(Effect.provide(Logger.withoutDefault))
  )

  it.effect("`encode` is called once for all members that share it", () =>
    withTopics(
      Effect.gen(function* () {
        const topics = yield* Topics.Topics
        let calls = 0
        const encode = (event: Topics.TopicEvent) => (event._tag === "Publication" ? `${++calls}` : undefined)
        const members = yield* Effect.forEach([1, 2, 3], () => connected())
        for (const { server } of members) yield* topics.attach(server, "a", { encode })
        yield* topics.publish("a", "x")
        for (const { client } of members) assert.strictEqual((yield* client.receive).data, "1")
      })
    )
  )
})

describe("the topics of a connection", () => {
  const reasonOf = <E extends { readonly _tag: string }, R>(effect: Effect.Effect<unknown, E, R>) =>
    Effect.map(Effect.flip(effect), (error) => ("reason" in error ? error.reason : error._tag))

  it.effect("follow the first rule that matches", () =>
    withTopics(
      Effect.gen(function* () {
        const { server } = yield* connected()
        const asked: Array<Topics.Access> = []
        const topics = yield* Topics.forConnection(server, {
          rules: [
            Topics.rule("rooms/closed", {}),
            Topics.rule("rooms/*", {
              subscribe: (access) =>
                Effect.sync(() => {
                  asked.push(access)
                  return access.matched[0] !== "secret"
                }),
              publish: true
            }),
            Topics.rule("news/**", { subscribe: true, publish: false })
          ]
        })
        yield* topics.attach("rooms/1")
        yield* topics.publish("rooms/1", "x")
        yield* topics.attach("news/a/b")
        yield* topics.history("news/a/b", { limit: 1 })
        for (const denied of [
          topics.attach("rooms/secret"),
          topics.attach("rooms/closed"),
          topics.publish("rooms/closed", "x"),
          topics.publish("news/a", "x"),
          topics.position("rooms/secret"),
          topics.history("other", { limit: 1 }),
          topics.attach("rooms/1/2")
        ]) {
          assert.strictEqual(yield* reasonOf(denied), "Denied")
        }
        assert.deepStrictEqual(asked[0], { topic: "rooms/1", matched: ["1"] })
        assert.strictEqual(yield* reasonOf(topics.attach("rooms/*")), "InvalidName")
      })
    )
  )

  it.effect("are limited in number, and in how fast they publish", () =>
    withTopics(
      Effect.gen(function* () {
        const { client, server } = yield* connected()
        const all = [Topics.rule("**", { subscribe: true, publish: true })]
        const topics = yield* Topics.forConnection(server, {
          rules: all,
          maxTopics: 2,
          publishRate: { limit: 2, interval: "1 second" }
        })
        yield* topics.attach("a")
        yield* topics.attach("b")
        assert.strictEqual(yield* reasonOf(topics.attach("c")), "TooManyTopics")
        yield* topics.detach("a")
        yield* topics.attach("c")
        yield* topics.publish("c", "mine")
        yield* topics.publish("c", "echo", { echo: true })
        assert.strictEqual(yield* reasonOf(topics.publish("c", "x")), "TooFast")
        yield* TestClock.adjust("500 millis")
        yield* topics.publish("c", "x", { echo: true })
        assert.strictEqual(yield* reasonOf(topics.publish("c", "x")), "TooFast")
        assert.deepStrictEqual([(yield* client.receive).data, (yield* client.receive).data], ["echo", "x"])
      })
    )
  )

  it.effect("have idempotency keys of at most 255 characters, so that they do not fill the memory", () =>
    withTopics(
      Effect.gen(function* () {
        const { server } = yield* connected()
        const topics = yield* Topics.forConnection(server, { rules: [Topics.rule("a", { publish: true })] })
        const publish = (length: number) => topics.publish("a", "x", { idempotencyKey: "k".repeat(length) })
        assert.strictEqual(yield* reasonOf(publish(256)), "TooLarge")
        assert.strictEqual((yield* publish(255)).offset, 1)
      })
    )
  )

  it.effect("have idempotency keys of their owner", () =>
    withTopics(
      Effect.gen(function* () {
        const { server } = yield* connected()
        const rules = [Topics.rule("a", { publish: true })]
        const offsets: Array<number> = []
        for (const owner of ["ann", "bob", "ann", undefined]) {
          const topics = yield* Topics.forConnection(server, { rules, owner })
          offsets.push((yield* topics.publish("a", "x", { idempotencyKey: "1" })).offset)
        }
        assert.deepStrictEqual(offsets, [1, 2, 1, 3])
      })
    )
  )
})
