import { assert, describe, it } from "@effect/vitest"
import { Effect, Exit, Scope, TestClock } from "effect"
import { decodeServer, type ServerMessage } from "../../src/chat/Protocol.js"
import { maxMembers, Rooms, typingTime } from "../../src/chat/Rooms.js"

/** A member who enters, and who records the messages for them. */
const member = (name: string, options: { readonly room?: string; readonly key?: string } = {}) =>
  Effect.gen(function* () {
    const { key = `key of ${name}`, room = "tea" } = options
    const scope = yield* Scope.make()
    const told: Array<ServerMessage> = []
    let replaced = false
    const seat = yield* (yield* Rooms)
      .enter(room, {
        name,
        key,
        tell: (text) => Effect.orDie(Effect.map(decodeServer(text), (message) => void told.push(message))),
        replaced: Effect.sync(() => {
          replaced = true
        })
      })
      .pipe(Scope.extend(scope))
    return {
      ...seat,
      leave: Scope.close(scope, Exit.void),
      isReplaced: () => replaced,
      /** The messages since the last call. */
      news: () => told.splice(0)
    }
  })

const typists = (...names: ReadonlyArray<string>) => ({ _tag: "Typists" as const, names })
const quietly = typists()

const test = (name: string, effect: Effect.Effect<void, unknown, Rooms>) =>
  it.effect(name, () => Effect.provide(effect, Rooms.Default))

describe("Rooms", () => {
  test(
    "tells who is there, who enters and who leaves",
    Effect.gen(function* () {
      const ada = yield* member("Ada")
      assert.deepStrictEqual(ada.news(), [{ _tag: "Joined", room: "tea", names: ["Ada"] }, quietly])
      const bob = yield* member("Bob")
      assert.deepStrictEqual(bob.news(), [{ _tag: "Joined", room: "tea", names: ["Ada", "Bob"] }, quietly])
      assert.deepStrictEqual(ada.news(), [{ _tag: "Entered", name: "Bob" }])
      yield* bob.leave
      assert.deepStrictEqual(ada.news(), [{ _tag: "Left", name: "Bob" }])
      assert.deepStrictEqual(bob.news(), [])
    })
  )

  test(
    "tells a room what is said there, who said it among them, and no other room",
    Effect.gen(function* () {
      const ada = yield* member("Ada")
      const bob = yield* member("Bob")
      const eve = yield* member("Eve", { room: "coffee" })
      for (const { news } of [ada, bob, eve]) news()
      yield* TestClock.adjust("3 seconds")
      yield* ada.say("hello")
      const said = { _tag: "Said" as const, name: "Ada", text: "hello", time: 3000 }
      assert.deepStrictEqual([ada.news(), bob.news(), eve.news()], [[said], [said], []])
    })
  )

  test(
    "tells who types, until they have paused",
    Effect.gen(function* () {
      const ada = yield* member("Ada")
      const bob = yield* member("Bob")
      ada.news()
      yield* bob.typing
      yield* TestClock.adjust("3 seconds")
      yield* bob.typing
      yield* TestClock.adjust("3 seconds")
      assert.deepStrictEqual(ada.news(), [typists("Bob")])
      const eve = yield* member("Eve")
      assert.deepStrictEqual(eve.news().at(-1), typists("Bob"))
      ada.news()
      yield* TestClock.adjust("1 seconds")
      assert.deepStrictEqual(ada.news(), [quietly])
      yield* TestClock.adjust(typingTime)
      assert.deepStrictEqual(ada.news(), [])
    })
  )

  test(
    "knows that who says something, or leaves, types no more",
    Effect.gen(function* () {
      const ada = yield* member("Ada")
      const bob = yield* member("Bob")
      ada.news()
      yield* bob.typing
      yield* bob.say("hello")
      assert.deepStrictEqual(ada.news(), [
        typists("Bob"),
        { _tag: "Said", name: "Bob", text: "hello", time: 0 },
        quietly
      ])
      yield* bob.typing
      yield* bob.leave
      assert.deepStrictEqual(ada.news(), [typists("Bob"), quietly, { _tag: "Left", name: "Bob" }])
      yield* TestClock.adjust(typingTime)
      assert.deepStrictEqual(ada.news(), [])
    })
  )

  test(
    "refuses a name that is taken, until it is free",
    Effect.gen(function* () {
      const ada = yield* member("Ada")
      ada.news()
      const refused = yield* Effect.flip(member("Ada", { key: "another key" }))
      assert.strictEqual(refused.reason, "this name is taken")
      assert.deepStrictEqual(ada.news(), [])
      yield* member("Ada", { room: "coffee", key: "another key" })
      yield* ada.leave
      yield* member("Ada", { key: "another key" })
    })
  )

  test(
    "gives a seat back to who has its key, and the others hear nothing of it",
    Effect.gen(function* () {
      const ada = yield* member("Ada")
      const before = yield* member("Bob")
      yield* before.typing
      ada.news()
      const after = yield* member("Bob")
      assert.isTrue(before.isReplaced())
      assert.deepStrictEqual(ada.news(), [quietly])

      yield* before.say("from the past")
      yield* before.typing
      yield* before.leave
      yield* TestClock.adjust(typingTime)
      assert.deepStrictEqual(ada.news(), [])

      yield* after.leave
      assert.deepStrictEqual(ada.news(), [{ _tag: "Left", name: "Bob" }])
    })
  )

  test(
    "has an end of seats",
    Effect.gen(function* () {
      const members = yield* Effect.forEach(Array.from({ length: maxMembers }).keys(), (n) => member(`${n}`))
      const refused = yield* Effect.flip(member("one more"))
      assert.strictEqual(refused.reason, "this room is full")
      yield* member("0")
      yield* members[1]!.leave
      yield* member("one more")
    })
  )
})
