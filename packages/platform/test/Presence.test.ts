import { MemoryTopicBroker, Presence, TopicBroker } from "@effect-websocket/platform"
import { Stream } from "effect"
import { Effect, Exit, Fiber, Layer, Scope, TestClock } from "./effect/index.js"
import { assert, describe, it } from "./effect/vitest.js"
import { settled } from "./support.js"

const showMember = ({ key, metas }: Presence.Member): string => `${key}(${metas.join(" ")})`

const show = (event: Presence.PresenceEvent): string =>
  event._tag === "Present"
    ? `present ${event.members.map(showMember).join(" ")}`
    : [
        ...event.joined.map((member) => `+${showMember(member)}`),
        ...event.updated.map((member) => `=${showMember(member)}`),
        ...event.left.map((member) => `-${showMember(member)}`)
      ].join(" ")

/** Collects what a stream emits. */
const collect = <A, E>(stream: Stream.Stream<A, E>) =>
  Effect.gen(function* () {
    const seen: Array<A> = []
    const fiber = yield* Effect.forkScoped(Stream.runForEach(stream, (item) => Effect.sync(() => void seen.push(item))))
    yield* settled
    return { fiber, seen }
  })

const observe = (topic: string) =>
  Effect.flatMap(Presence.Presence, (presence) => collect(Stream.map(presence.changes(topic), show)))

/** A session in a scope of its own. */
const enter = (topic: string, key: string, meta: string) =>
  Effect.gen(function* () {
    const presence = yield* Presence.Presence
    const scope = yield* Scope.make()
    const tracked = yield* Scope.provide(presence.track(topic, key, meta), scope)
    return { ...tracked, leave: Scope.close(scope, Exit.void) }
  })

const withPresence = <A, E>(
  test: Effect.Effect<A, E, Presence.Presence | TopicBroker.TopicBroker | Scope.Scope>,
  options?: Presence.Options
): Effect.Effect<A, E, Scope.Scope> =>
  Effect.provide(test, Layer.provideMerge(Presence.layerBroker(options), MemoryTopicBroker.layer()))

it.effect("fails for a name that no topic can have", () =>
  withPresence(
    Effect.gen(function* () {
      const presence = yield* Presence.Presence
      const attempts: ReadonlyArray<Effect.Effect<unknown, TopicBroker.TopicError, Scope.Scope>> = [
        presence.track("a//b", "ann", ""),
        presence.list(""),
        Stream.runDrain(presence.changes("*")),
        Stream.runDrain(presence.counts("\ud800"))
      ]
      for (const attempt of attempts) assert.strictEqual((yield* Effect.flip(attempt)).reason, "InvalidName")
    })
  )
)

describe("changes", () => {
  it.effect("begin with who is present, and tell who joins, is updated and leaves", () =>
    withPresence(
      Effect.gen(function* () {
        yield* enter("a", "ann", "1")
        yield* enter("elsewhere", "eve", "1")
        const { seen } = yield* observe("a")
        const bob = yield* enter("a", "bob", "2")
        yield* TestClock.adjust("50 millis")
        yield* bob.update("3")
        yield* TestClock.adjust("50 millis")
        yield* bob.leave
        yield* TestClock.adjust("2 seconds")
        assert.deepStrictEqual(seen, ["present ann(1)", "+bob(2)", "=bob(3)", "-bob(3)"])
      })
    )
  )

  it.effect("have one element for all changes of an interval", () =>
    withPresence(
      Effect.gen(function* () {
        const { seen } = yield* observe("a")
        for (const key of ["x", "y", "z"]) {
          yield* enter("a", key, "")
          yield* TestClock.adjust("10 millis")
        }
        yield* TestClock.adjust("100 millis")
        assert.deepStrictEqual(seen, ["present ", "+x() +y()", "+z()"])
      }),
      { interval: "15 millis" }
    )
  )

  it.effect("take two sessions with one key as one member", () =>
    withPresence(
      Effect.gen(function* () {
        const { seen } = yield* observe("a")
        const phone = yield* enter("a", "ann", "phone")
        const laptop = yield* enter("a", "ann", "laptop")
        yield* TestClock.adjust("50 millis")
        yield* laptop.leave
        yield* TestClock.adjust("5 seconds")
        yield* phone.leave
        yield* TestClock.adjust("5 seconds")
        assert.deepStrictEqual(seen, ["present ", "+ann(laptop phone)", "=ann(phone)", "-ann(phone)"])
      })
    )
  )

  it.effect("say nothing of a member that comes back in time", () =>
    withPresence(
      Effect.gen(function* () {
        const ann = yield* enter("a", "ann", "1")
        const { seen } = yield* observe("a")
        yield* ann.leave
        yield* TestClock.adjust("1 second")
        const again = yield* enter("a", "ann", "1")
        yield* TestClock.adjust("10 seconds")
        assert.deepStrictEqual(seen, ["present ann(1)"])
        yield* again.leave
        yield* TestClock.adjust("1999 millis")
        assert.deepStrictEqual(seen, ["present ann(1)"])
        yield* TestClock.adjust("1 millis")
        assert.deepStrictEqual(seen, ["present ann(1)", "-ann(1)"])
      })
    )
  )

  it.effect("tell a slow reader again who is present", () =>
    withPresence(
      Effect.gen(function* () {
        const presence = yield* Presence.Presence
        const seen: Array<string> = []
        let isSlow = true
        yield* Effect.forkScoped(
          Stream.runForEach(presence.changes("a"), (event) =>
            Effect.suspend(() => {
              seen.push(show(event))
              return isSlow ? Effect.sleep("20 seconds") : Effect.void
            })
          )
        )
        yield* settled
        for (let count = 1; count <= 100; count++) {
          yield* enter("a", `m${count}`, "")
          yield* TestClock.adjust("50 millis")
        }
        isSlow = false
        yield* TestClock.adjust("20 seconds")
        assert.lengthOf(seen, 2)
        assert.strictEqual(seen[1]?.split(" ").length, 101)
        yield* enter("a", "late", "")
        yield* TestClock.adjust("50 millis")
        assert.strictEqual(seen[2], "+late()")
      })
    )
  )

  it.effect("of one topic are followed once, and no longer than somebody reads them", () =>
    Effect.gen(function* () {
      let following = 0
      let total = 0
      const counting = TopicBroker.layer(
        Effect.map(MemoryTopicBroker.make(), (broker) => ({
          ...broker,
          presence: {
            ...broker.presence,
            changes: (topic: string, listener: (change: TopicBroker.PresenceChange) => void) =>
              Effect.acquireRelease(
                Effect.sync(() => {
                  following++
                  total++
                }),
                () => Effect.sync(() => following--)
              ).pipe(Effect.andThen(broker.presence.changes(topic, listener)))
          }
        }))
      )
      yield* Effect.gen(function* () {
        const one = yield* observe("a")
        const other = yield* observe("a")
        assert.deepStrictEqual([following, total], [1, 1])
        yield* Fiber.interrupt(one.fiber)
        yield* settled
        assert.strictEqual(following, 1)
        yield* Fiber.interrupt(other.fiber)
        yield* settled
        assert.strictEqual(following, 0)
      }).pipe(Effect.provide(Layer.provide(Presence.layerBroker(), counting)))
    })
  )
})

describe("counts", () => {
  it.effect("tell the number of members, not of sessions", () =>
    withPresence(
      Effect.gen(function* () {
        const presence = yield* Presence.Presence
        yield* enter("a", "ann", "1")
        const { seen } = yield* collect(presence.counts("a"))
        yield* enter("a", "ann", "2")
        yield* TestClock.adjust("50 millis")
        const bob = yield* enter("a", "bob", "1")
        yield* TestClock.adjust("50 millis")
        yield* bob.leave
        yield* TestClock.adjust("2 seconds")
        assert.deepStrictEqual(seen, [1, 2, 1])
        assert.deepStrictEqual(yield* presence.list("a"), [{ key: "ann", metas: ["1", "2"] }])
      })
    )
  )
})

describe("track", () => {
  it.effect("renews the session before it expires, and leaves with an interruption", () =>
    withPresence(
      Effect.gen(function* () {
        const presence = yield* Presence.Presence
        const fiber = yield* Effect.forkChild(
          Effect.scoped(Effect.andThen(presence.track("a", "ann", ""), Effect.never))
        )
        yield* settled
        for (let minute = 0; minute < 3; minute++) yield* TestClock.adjust("1 minute")
        assert.deepStrictEqual(yield* presence.list("a"), [{ key: "ann", metas: [""] }])
        yield* Fiber.interrupt(fiber)
        assert.deepStrictEqual(yield* presence.list("a"), [])
      })
    )
  )

  it.effect("leaves also if it is interrupted while the session is set", () =>
    Effect.gen(function* () {
      const calls: Array<string> = []
      const slow = TopicBroker.layer(
        Effect.map(MemoryTopicBroker.make(), (broker) => ({
          ...broker,
          presence: {
            ...broker.presence,
            set: () =>
              Effect.andThen(
                Effect.sync(() => void calls.push("set")),
                Effect.never
              ),
            remove: () => Effect.sync(() => void calls.push("remove"))
          }
        }))
      )
      yield* Effect.gen(function* () {
        const presence = yield* Presence.Presence
        const fiber = yield* Effect.forkChild(Effect.scoped(presence.track("a", "ann", "")))
        yield* settled
        yield* Fiber.interrupt(fiber)
        assert.deepStrictEqual(calls, ["set", "remove"])
      }).pipe(Effect.provide(Layer.provide(Presence.layerBroker(), slow)))
    })
  )
})

it.effect("lists again after the broker was interrupted, and tells the difference", () =>
  Effect.gen(function* () {
    let tell: (change: TopicBroker.PresenceChange) => void = () => {}
    let sessions: ReadonlyArray<TopicBroker.PresenceEntry> = [
      { key: "ann", session: "1", meta: "" },
      { key: "bob", session: "2", meta: "" }
    ]
    let failures = 0
    const broken = TopicBroker.layer(
      Effect.map(MemoryTopicBroker.make(), (broker) => ({
        ...broker,
        presence: {
          ...broker.presence,
          list: (topic: string) =>
            Effect.suspend(() =>
              failures-- > 0
                ? Effect.fail(new TopicBroker.TopicError({ reason: "Unavailable", topic }))
                : Effect.succeed(sessions)
            ),
          changes: (_topic: string, listener: (change: TopicBroker.PresenceChange) => void) =>
            Effect.sync(() => {
              tell = listener
            })
        }
      }))
    )
    yield* Effect.gen(function* () {
      const { seen } = yield* observe("a")
      sessions = [
        { key: "ann", session: "1", meta: "" },
        { key: "cid", session: "3", meta: "" }
      ]
      failures = 3
      tell({ _tag: "Interrupted" })
      yield* TestClock.adjust("10 seconds")
      assert.deepStrictEqual(seen, ["present ann() bob()", "+cid()", "-bob()"])
    }).pipe(Effect.provide(Layer.provide(Presence.layerBroker(), broken)))
  })
)

it.effect("fails if the broker cannot begin", () =>
  Effect.gen(function* () {
    const broken = TopicBroker.layer(
      Effect.map(MemoryTopicBroker.make(), (broker) => ({
        ...broker,
        presence: {
          ...broker.presence,
          list: (topic: string) => Effect.fail(new TopicBroker.TopicError({ reason: "Unavailable", topic }))
        }
      }))
    )
    yield* Effect.gen(function* () {
      const presence = yield* Presence.Presence
      const error = yield* Effect.flip(Stream.runDrain(presence.changes("a")))
      assert.strictEqual(error.reason, "Unavailable")
    }).pipe(Effect.provide(Layer.provide(Presence.layerBroker(), broken)))
  })
)

describe("withProfiles", () => {
  it.effect("asks once for each element", () =>
    withPresence(
      Effect.gen(function* () {
        const presence = yield* Presence.Presence
        yield* enter("a", "ann", "")
        yield* enter("a", "bob", "")
        const asked: Array<ReadonlyArray<string>> = []
        const { seen } = yield* collect(
          presence.changes("a").pipe(
            Presence.withProfiles((keys) =>
              Effect.sync(() => {
                asked.push(keys)
                return new Map(keys.filter((key) => key !== "bob").map((key) => [key, key.toUpperCase()]))
              })
            )
          )
        )
        const cid = yield* enter("a", "cid", "")
        yield* TestClock.adjust("50 millis")
        yield* cid.leave
        yield* TestClock.adjust("2 seconds")
        assert.deepStrictEqual(asked, [["ann", "bob"], ["cid"]])
        const [first, second, third] = seen
        assert(first?._tag === "Present" && second?._tag === "Changed" && third?._tag === "Changed")
        assert.deepStrictEqual(
          first.members.map(({ profile }) => profile),
          ["ANN", undefined]
        )
        assert.strictEqual(second.joined[0]?.profile, "CID")
        assert.deepStrictEqual(third.left, [{ key: "cid", metas: [""] }])
      })
    )
  )
})
