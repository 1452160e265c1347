/**
 * The laws of `TopicBroker`. Every implementation passes them; packages that have one call `topicBrokerLaws` in their tests.
 * They run on the real clock, because an engine outside of the process has no other.
 */
import type { Position, Publication } from "@effect-websocket/platform/TopicBroker"
import * as TopicBroker from "@effect-websocket/platform/TopicBroker"
import * as Message from "@effect-websocket/protocol/Message"
import type { Layer } from "effect"
import { Effect, Fiber, Scope, Exit } from "./effect/index.js"
import { assert, describe, it } from "./effect/vitest.js"

let made = 0
const run = globalThis.crypto.randomUUID()

/** A name that no other test has used, not even in another run against the same engine. */
const freshTopic = (): string => `laws/${run}/${++made}`

const dataOf = ({ message }: Publication): string =>
  message._tag === "Text" ? message.data : `bytes ${message.data.join(" ")}`

/** The publications of a topic as lines, in the order of their arrival: `1 hello`. */
const listen = (topic: string) =>
  Effect.gen(function* () {
    const broker = yield* TopicBroker.TopicBroker
    const seen: Array<string> = []
    const position = yield* broker.subscribe(topic, (event) => {
      seen.push(event._tag === "Interrupted" ? "Interrupted" : `${event.position.offset} ${dataOf(event)}`)
    })
    return { position, seen }
  })

/** Waits until a condition holds. A test that waits for too long fails by its own timeout. */
const until = (
  condition: Effect.Effect<boolean, TopicBroker.TopicError>
): Effect.Effect<void, TopicBroker.TopicError> =>
  Effect.flatMap(condition, (holds) =>
    holds ? Effect.void : Effect.andThen(Effect.sleep("2 millis"), until(condition))
  )

const untilSeen = (seen: ReadonlyArray<string>, count: number) => until(Effect.sync(() => new Set(seen).size >= count))

/** Without what was delivered twice, which a broker may do. */
const distinct = (seen: ReadonlyArray<string>): ReadonlyArray<string> => [...new Set(seen)]

const publishText = (topic: string, text: string, options?: TopicBroker.PublishOptions) =>
  Effect.flatMap(TopicBroker.TopicBroker, (broker) => broker.publish(topic, Message.text(text), options))

const numbered = (from: number, to: number): ReadonlyArray<string> =>
  Array.from({ length: to - from + 1 }, (_, index) => `${from + index} ${from + index}`)

const publishNumbers = (topic: string, from: number, to: number) =>
  Effect.forEach(
    Array.from({ length: to - from + 1 }, (_, index) => String(from + index)),
    (text) => publishText(topic, text)
  )

const lines = (publications: ReadonlyArray<Publication>): ReadonlyArray<string> =>
  publications.map((publication) => `${publication.position.offset} ${dataOf(publication)}`)

export const topicBrokerLaws = (name: string, layer: Layer.Layer<TopicBroker.TopicBroker, unknown>): void => {
  const law = (
    title: string,
    test: Effect.Effect<void, TopicBroker.TopicError, TopicBroker.TopicBroker | Scope.Scope>
  ): void => it.live(title, () => Effect.provide(Effect.scoped(test), layer))

  describe(`the laws of a topic broker: ${name}`, () => {
    law(
      "a topic has a position before its first publication, and publications count from there",
      Effect.gen(function* () {
        const broker = yield* TopicBroker.TopicBroker
        const topic = freshTopic()
        const start = yield* broker.position(topic)
        assert.strictEqual(start.offset, 0)
        assert.deepStrictEqual(yield* broker.position(topic), start)
        const first = yield* publishText(topic, "one")
        assert.deepStrictEqual(first, { position: { epoch: start.epoch, offset: 1 }, isDuplicate: false })
        assert.deepStrictEqual(yield* broker.position(topic), first.position)
        const second = yield* publishText(topic, "two")
        assert.deepStrictEqual(second.position, { epoch: start.epoch, offset: 2 })
      })
    )

    law(
      "topics have epochs of their own",
      Effect.gen(function* () {
        const broker = yield* TopicBroker.TopicBroker
        const positions = yield* Effect.forEach([freshTopic(), freshTopic()], broker.position)
        assert.notStrictEqual(positions[0]?.epoch, positions[1]?.epoch)
      })
    )

    law(
      "every subscription gets all publications in order, texts and bytes as they were",
      Effect.gen(function* () {
        const broker = yield* TopicBroker.TopicBroker
        const topic = freshTopic()
        const one = yield* listen(topic)
        const other = yield* listen(topic)
        const elsewhere = yield* listen(freshTopic())
        assert.strictEqual(one.position.offset, 0)
        const bytes = Uint8Array.from({ length: 256 }, (_, index) => index)
        yield* publishText(topic, "a text with 🚀, \0 and \n")
        yield* broker.publish(topic, Message.binary(bytes))
        yield* publishText(topic, "")
        yield* broker.publish(topic, Message.binary(new Uint8Array(0)))
        const all = ["1 a text with 🚀, \0 and \n", `2 bytes ${bytes.join(" ")}`, "3 ", "4 bytes "]
        for (const { seen } of [one, other]) {
          yield* untilSeen(seen, 4)
          assert.deepStrictEqual(distinct(seen), all)
        }
        assert.deepStrictEqual(elsewhere.seen, [])
        const page = yield* broker.history(topic, { since: one.position, limit: 10 })
        assert.deepStrictEqual([page.isComplete, lines(page.publications)], [true, all])
      })
    )

    law(
      "publishers at the same time share one order",
      Effect.gen(function* () {
        const topic = freshTopic()
        const { seen } = yield* listen(topic)
        const published = yield* Effect.forEach(
          Array.from({ length: 50 }, (_, index) => `m${index}`),
          (text) => Effect.map(publishText(topic, text), ({ position }) => `${position.offset} ${text}`),
          { concurrency: "unbounded" }
        )
        yield* untilSeen(seen, 50)
        const byOffset = [...published].sort((a, b) => Number.parseInt(a) - Number.parseInt(b))
        assert.deepStrictEqual(distinct(seen), byOffset)
        assert.deepStrictEqual(
          byOffset.map((line) => Number.parseInt(line)),
          Array.from({ length: 50 }, (_, index) => index + 1)
        )
      })
    )

    law(
      "the history begins behind any position, in pages",
      Effect.gen(function* () {
        const broker = yield* TopicBroker.TopicBroker
        const topic = freshTopic()
        const start = yield* broker.position(topic)
        yield* publishNumbers(topic, 1, 7)
        const newest: Position = { epoch: start.epoch, offset: 7 }
        for (let offset = 0; offset <= 7; offset++) {
          const page = yield* broker.history(topic, { since: { ...start, offset }, limit: 3 })
          assert.deepStrictEqual(
            { ...page, publications: lines(page.publications) },
            { isComplete: true, publications: numbered(offset + 1, Math.min(offset + 3, 7)), newest }
          )
          for (const { position } of page.publications) assert.strictEqual(position.epoch, start.epoch)
        }
        const last = yield* broker.history(topic, { limit: 2 })
        assert.deepStrictEqual([last.isComplete, lines(last.publications), last.newest], [true, ["6 6", "7 7"], newest])
        const all = yield* broker.history(topic, { limit: 100 })
        assert.deepStrictEqual(lines(all.publications), numbered(1, 7))
      })
    )

    law(
      "a position of another epoch, or of the future, is not complete",
      Effect.gen(function* () {
        const broker = yield* TopicBroker.TopicBroker
        const topic = freshTopic()
        yield* publishNumbers(topic, 1, 2)
        const newest = yield* broker.position(topic)
        for (const since of [
          { epoch: "another", offset: 1 },
          { epoch: "another", offset: 0 },
          { epoch: newest.epoch, offset: 3 }
        ]) {
          assert.deepStrictEqual(yield* broker.history(topic, { since, limit: 10 }), {
            isComplete: false,
            publications: [],
            newest
          })
        }
      })
    )

    law(
      "an idempotency key publishes once in its topic, also at the same time",
      Effect.gen(function* () {
        const topic = freshTopic()
        const { seen } = yield* listen(topic)
        const results = yield* Effect.forEach(
          ["one", "two", "three"],
          (text) => publishText(topic, text, { idempotencyKey: "key" }),
          { concurrency: "unbounded" }
        )
        assert.deepStrictEqual(
          results.map(({ position }) => position.offset),
          [1, 1, 1]
        )
        assert.strictEqual(results.filter(({ isDuplicate }) => isDuplicate).length, 2)
        assert.strictEqual((yield* publishText(topic, "next", { idempotencyKey: "other" })).position.offset, 2)
        assert.strictEqual((yield* publishText(topic, "without")).position.offset, 3)
        assert.isFalse((yield* publishText(freshTopic(), "elsewhere", { idempotencyKey: "key" })).isDuplicate)
        yield* untilSeen(seen, 3)
        assert.deepStrictEqual(distinct(seen).slice(1), ["2 next", "3 without"])
      })
    )

    law(
      "the publisher travels with a publication, and is in the history",
      Effect.gen(function* () {
        const broker = yield* TopicBroker.TopicBroker
        const topic = freshTopic()
        const publishers: Array<string | undefined> = []
        yield* broker.subscribe(topic, (event) => {
          if (event._tag === "Publication") publishers[event.position.offset] = event.publisher
        })
        yield* publishText(topic, "one", { publisher: "hub:1" })
        yield* publishText(topic, "two")
        yield* until(Effect.sync(() => publishers.length === 3))
        assert.deepStrictEqual(publishers.slice(1), ["hub:1", undefined])
        const page = yield* broker.history(topic, { limit: 2 })
        assert.deepStrictEqual(
          page.publications.map(({ publisher }) => publisher),
          ["hub:1", undefined]
        )
      })
    )

    law(
      "everything behind the position of a subscription is delivered, whatever is published while it begins",
      Effect.gen(function* () {
        const topic = freshTopic()
        const publishing = yield* Effect.forkChild(publishNumbers(topic, 1, 200))
        const subscriptions = yield* Effect.forEach(
          Array.from({ length: 10 }, (_, index) => index),
          (index) => Effect.andThen(Effect.sleep(`${index} millis`), listen(topic))
        )
        yield* Fiber.join(publishing)
        yield* publishText(topic, "end")
        for (const { position, seen } of subscriptions) {
          yield* until(Effect.sync(() => seen.at(-1) === "201 end"))
          const behind = distinct(seen).filter((line) => Number.parseInt(line) > position.offset)
          assert.deepStrictEqual(behind, [...numbered(position.offset + 1, 200), "201 end"])
        }
      })
    )

    law(
      "a subscription ends with its scope, and no other one does",
      Effect.gen(function* () {
        const topic = freshTopic()
        const scope = yield* Scope.make()
        const ended = yield* Scope.provide(listen(topic), scope)
        const lasting = yield* listen(topic)
        yield* publishText(topic, "1")
        yield* untilSeen(ended.seen, 1)
        yield* Scope.close(scope, Exit.void)
        const before = ended.seen.length
        yield* publishText(topic, "2")
        yield* untilSeen(lasting.seen, 2)
        assert.strictEqual(ended.seen.length, before)
      })
    )

    law(
      "a removed topic begins again with another epoch, also for its subscriptions",
      Effect.gen(function* () {
        const broker = yield* TopicBroker.TopicBroker
        const topic = freshTopic()
        const epochs: Array<string> = []
        yield* broker.subscribe(topic, (event) => {
          epochs.push(event._tag === "Interrupted" ? "Interrupted" : event.position.epoch)
        })
        const before = yield* publishText(topic, "before", { idempotencyKey: "key" })
        yield* until(Effect.sync(() => epochs.includes(before.position.epoch)))
        yield* broker.remove(topic)
        const after = yield* broker.position(topic)
        assert.notStrictEqual(after.epoch, before.position.epoch)
        assert.strictEqual(after.offset, 0)
        const gap = yield* broker.history(topic, { since: before.position, limit: 10 })
        assert.isFalse(gap.isComplete)
        const again = yield* publishText(topic, "again", { idempotencyKey: "key" })
        assert.deepStrictEqual(again, { position: { epoch: after.epoch, offset: 1 }, isDuplicate: false })
        yield* until(Effect.sync(() => epochs.includes(after.epoch) && epochs.includes("Interrupted")))
      })
    )

    law(
      "an interrupted publish has happened or not, and leaves no offset out",
      Effect.gen(function* () {
        const broker = yield* TopicBroker.TopicBroker
        const topic = freshTopic()
        const start = yield* broker.position(topic)
        for (let round = 0; round < 40; round++) {
          const fiber = yield* Effect.forkChild(publishText(topic, String(round)))
          for (let turn = 0; turn < round % 4; turn++) yield* Effect.yieldNow
          yield* Fiber.interrupt(fiber)
        }
        const { offset } = (yield* publishText(topic, "end")).position
        const page = yield* broker.history(topic, { since: start, limit: 100 })
        assert.deepStrictEqual(
          page.publications.map(({ position }) => position.offset),
          Array.from({ length: offset }, (_, index) => index + 1)
        )
        const texts = page.publications.map(dataOf)
        assert.strictEqual(new Set(texts).size, texts.length)
      })
    )

    describe("presence", () => {
      const ann = { key: "ann", session: "1", meta: '{"name":"Ann"}' }

      law(
        "sessions are present from when they are set until they are removed",
        Effect.gen(function* () {
          const { presence } = yield* TopicBroker.TopicBroker
          const topic = freshTopic()
          const changes: Array<string> = []
          yield* presence.changes(topic, (change) => {
            if (change._tag !== "Interrupted") {
              changes.push(`${change._tag} ${change.entry.key} ${change.entry.session} ${change.entry.meta}`)
            }
          })
          assert.deepStrictEqual(yield* presence.list(topic), [])
          yield* presence.set(topic, ann, "1 minute")
          yield* presence.set(topic, ann, "1 minute")
          yield* presence.set(topic, { ...ann, session: "2" }, "1 minute")
          yield* presence.set(topic, { ...ann, meta: "{}" }, "1 minute")
          const sessions = [...(yield* presence.list(topic))].sort((a, b) => a.session.localeCompare(b.session))
          assert.deepStrictEqual(sessions, [
            { ...ann, meta: "{}" },
            { ...ann, session: "2" }
          ])
          assert.deepStrictEqual(yield* presence.list(freshTopic()), [])
          yield* presence.remove(topic, "ann", "1")
          yield* presence.remove(topic, "ann", "1")
          yield* presence.remove(topic, "bob", "1")
          assert.deepStrictEqual(yield* presence.list(topic), [{ ...ann, session: "2" }])
          yield* until(Effect.sync(() => changes.length >= 4))
          assert.deepStrictEqual(changes, [
            'Entered ann 1 {"name":"Ann"}',
            'Entered ann 2 {"name":"Ann"}',
            "Entered ann 1 {}",
            "Left ann 1 {}"
          ])
        })
      )

      law(
        "a session that is not set again leaves after its expiry",
        Effect.gen(function* () {
          const { presence } = yield* TopicBroker.TopicBroker
          const topic = freshTopic()
          const left: Array<string> = []
          yield* presence.changes(topic, (change) => {
            if (change._tag === "Left") left.push(change.entry.key)
          })
          yield* presence.set(topic, ann, "50 millis")
          yield* presence.set(topic, { ...ann, key: "bob" }, "1 minute")
          yield* until(Effect.map(presence.list(topic), (entries) => entries.length === 1))
          yield* until(Effect.sync(() => left.length === 1))
          assert.deepStrictEqual(left, ["ann"])
          assert.deepStrictEqual(
            (yield* presence.list(topic)).map(({ key }) => key),
            ["bob"]
          )
        })
      )
    })
  })
}
