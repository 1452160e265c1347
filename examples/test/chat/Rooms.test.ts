import { type Presence, Topics, WebSocketClient, WebSocketServer, WebSocketTest } from "@effect-websocket/platform"
import { assert, describe, it } from "@effect/vitest"
import { Effect, Exit, Layer, Scope, TestClock } from "effect"
import { decodeServer, type Position, type ServerMessage } from "../../src/chat/Protocol.js"
import * as Rooms from "../../src/chat/Rooms.js"
import { maxMembers } from "../../src/chat/Seats.js"

interface Options {
  readonly room?: string
  readonly key?: string
  readonly since?: Position
}

/** A member who enters, and who records the messages for it. */
const member = (name: string, { key = `the secret of ${name}`, room = "tea", since }: Options = {}) =>
  Effect.gen(function* () {
    const scope = yield* Scope.make()
    const told: Array<ServerMessage> = []
    const [client, socket] = yield* Effect.all([WebSocketClient.connect("ws://test/"), WebSocketServer.accept()], {
      concurrency: 2
    }).pipe(Scope.extend(scope))
    yield* Effect.forkIn(
      client.run(({ data }) => Effect.map(Effect.orDie(decodeServer(data)), (message) => void told.push(message))),
      scope
    )
    const join = { _tag: "Join", room, name, key, ...(since === undefined ? {} : { since }) } as const
    const seat = yield* Scope.extend(Rooms.enter(socket, join), scope).pipe(
      Effect.onError(() => Scope.close(scope, Exit.void))
    )
    yield* Effect.forkIn(seat.people, scope)
    yield* aMoment
    return {
      ...seat,
      say: (text: string, id = `${name} says just once ${text}`) => seat.say({ _tag: "Say", id, text }),
      leave: Scope.close(scope, Exit.void),
      /** The messages since the last call. */
      news: Effect.as(aMoment, told).pipe(Effect.map((told) => told.splice(0)))
    }
  })

/** Until presence has collected its changes, and everything has arrived. */
const aMoment = TestClock.adjust("50 millis")
const leaveDelay = TestClock.adjust("2 seconds")

const person = (name: string, isTyping = false) => ({ name, isTyping })
const changed = (change: object) => ({ _tag: "Changed", entered: [], updated: [], left: [], ...change })
/** Who is in the room after these messages. */
const here = (messages: ReadonlyArray<ServerMessage>) => {
  const names = new Set<string>()
  for (const message of messages) {
    if (message._tag === "Present") for (const { name } of message.people) names.add(name)
    if (message._tag === "Changed") for (const { name } of message.entered) names.add(name)
  }
  return [...names]
}
const typing = (name: string, isTyping: boolean) => changed({ updated: [person(name, isTyping)] })

/** Who has said what, and at which offset. */
const said = (messages: ReadonlyArray<ServerMessage>) =>
  messages.flatMap((message) =>
    message._tag === "Said" ? [`${message.position.offset} ${message.name}: ${message.text}`] : []
  )
const started = (messages: ReadonlyArray<ServerMessage>) =>
  messages.flatMap((message) => (message._tag === "Started" ? [message.position.offset] : []))

const tea = "rooms/tea"
const position = Effect.flatMap(Topics.Topics, (topics) => topics.position(tea))

const test = (
  name: string,
  effect: Effect.Effect<
    void,
    unknown,
    Topics.Topics | Presence.Presence | WebSocketClient.WebSocketClient | WebSocketServer.WebSocketServer | Scope.Scope
  >
) => it.scoped(name, () => Effect.provide(effect, Layer.merge(Rooms.layer(), WebSocketTest.layer)))

describe("Rooms", () => {
  test(
    "tell who is there, who enters and who leaves",
    Effect.gen(function* () {
      const ada = yield* member("Ada")
      const [first, second, ...rest] = yield* ada.news
      assert.deepInclude(first, { _tag: "Started" })
      assert.deepStrictEqual<unknown>([second, ...rest], [{ _tag: "Present", people: [person("Ada")] }])
      const bob = yield* member("Bob")
      assert.sameMembers(here(yield* bob.news), ["Ada", "Bob"])
      assert.deepStrictEqual<unknown>(yield* ada.news, [changed({ entered: [person("Bob")] })])
      yield* bob.leave
      assert.deepStrictEqual(yield* ada.news, [])
      yield* leaveDelay
      assert.deepStrictEqual<unknown>(yield* ada.news, [changed({ left: [person("Bob")] })])
    })
  )

  test(
    "tell what is said to everybody there, and to no other room",
    Effect.gen(function* () {
      const ada = yield* member("Ada")
      const bob = yield* member("Bob")
      const eve = yield* member("Eve", { room: "coffee" })
      for (const { news } of [ada, bob, eve]) yield* news
      yield* ada.say("hello")
      yield* bob.say("hello, Ada")
      for (const { news } of [ada, bob])
        assert.deepStrictEqual(said(yield* news), ["1 Ada: hello", "2 Bob: hello, Ada"])
      assert.deepStrictEqual(yield* eve.news, [])
    })
  )

  test(
    "tell somebody who is new what was said last",
    Effect.gen(function* () {
      const ada = yield* member("Ada")
      for (let n = 1; n <= Rooms.newest + 5; n++) yield* ada.say(`${n}`)
      const news = yield* (yield* member("Bob")).news
      assert.deepStrictEqual(started(news), [5])
      const lines = said(news)
      assert.deepStrictEqual([lines[0], lines.length], ["6 Ada: 6", Rooms.newest])
      assert.deepInclude(news[Rooms.newest + 1], { _tag: "Present" })
    })
  )

  test(
    "go on where a page was",
    Effect.gen(function* () {
      const ada = yield* member("Ada")
      yield* ada.say("1")
      const since = yield* position
      yield* ada.say("2")
      yield* ada.say("3")
      const news = yield* (yield* member("Bob", { since })).news
      assert.deepInclude(news[0], { _tag: "Started", position: since })
      assert.deepStrictEqual(said(news), ["2 Ada: 2", "3 Ada: 3"])
    })
  )

  test(
    "begin with the newest messages if the history does not reach back to where a page was",
    Effect.gen(function* () {
      const ada = yield* member("Ada")
      yield* ada.say("1")
      const { epoch, offset } = yield* position
      const news = yield* (yield* member("Bob", { since: { epoch: `not ${epoch}`, offset } })).news
      assert.deepInclude(news[0], { _tag: "Started", position: { epoch, offset: 0 } })
      assert.deepStrictEqual(said(news), ["1 Ada: 1"])
    })
  )

  test(
    "publish what is said twice once",
    Effect.gen(function* () {
      const ada = yield* member("Ada")
      const bob = yield* member("Bob")
      yield* ada.say("hello", "a random text, once")
      yield* ada.say("hello", "a random text, once")
      yield* bob.say("hello", "a random text, once")
      assert.deepStrictEqual(said(yield* ada.news), ["1 Ada: hello", "2 Bob: hello"])
    })
  )

  test(
    "tell of something that they do not understand as of something missing",
    Effect.gen(function* () {
      const topics = yield* Topics.Topics
      const ada = yield* member("Ada")
      yield* ada.news
      const position = yield* topics.publish(tea, `{"a newer":"format"}`)
      assert.deepStrictEqual(yield* ada.news, [{ _tag: "Started", position }])
    })
  )

  test(
    "tell who types, until they have paused",
    Effect.gen(function* () {
      const ada = yield* member("Ada")
      const bob = yield* member("Bob")
      yield* ada.news
      yield* bob.typing
      yield* TestClock.adjust("3 seconds")
      yield* bob.typing
      yield* TestClock.adjust("3 seconds")
      assert.deepStrictEqual<unknown>(yield* ada.news, [typing("Bob", true)])
      const [, present] = yield* (yield* member("Eve")).news
      assert.deepInclude(present?._tag === "Present" ? present.people : [], person("Bob", true))
      yield* ada.news
      yield* TestClock.adjust("1 seconds")
      assert.deepStrictEqual<unknown>(yield* ada.news, [typing("Bob", false)])
      yield* TestClock.adjust(Rooms.typingTime)
      assert.deepStrictEqual(yield* ada.news, [])
    })
  )

  test(
    "know that who says something types no more",
    Effect.gen(function* () {
      const ada = yield* member("Ada")
      const bob = yield* member("Bob")
      yield* bob.typing
      yield* ada.news
      yield* bob.say("hello")
      const news = yield* ada.news
      assert.deepStrictEqual(said(news), ["1 Bob: hello"])
      assert.deepStrictEqual<unknown>(news.slice(1), [typing("Bob", false)])
      yield* TestClock.adjust(Rooms.typingTime)
      assert.deepStrictEqual(yield* ada.news, [])
    })
  )

  test(
    "refuse a name that is taken, until it is free",
    Effect.gen(function* () {
      const ada = yield* member("Ada")
      const bob = yield* member("Bob")
      yield* ada.news
      const key = "another secret key"
      assert.deepInclude(yield* Effect.flip(member("Bob", { key })), { reason: "this name is taken" })
      yield* leaveDelay
      assert.deepStrictEqual(yield* ada.news, [])
      yield* member("Bob", { key, room: "coffee" })
      yield* bob.leave
      yield* member("Bob", { key })
    })
  )

  test(
    "give a name back to who has its key, and the others hear nothing of it",
    Effect.gen(function* () {
      const ada = yield* member("Ada")
      const before = yield* member("Bob")
      yield* ada.news
      const after = yield* member("Bob")
      yield* before.leave
      yield* leaveDelay
      yield* after.leave
      yield* member("Bob")
      yield* leaveDelay
      const changes = (yield* ada.news).filter((message) => message._tag === "Changed")
      assert.deepStrictEqual(
        changes.flatMap(({ entered, left }) => [...entered, ...left]),
        []
      )
    })
  )

  test(
    "have an end of seats",
    Effect.gen(function* () {
      const names = Array.from({ length: maxMembers }, (_, n) => `${n}`)
      const members = yield* Effect.forEach(names, (name) => member(name))
      assert.deepInclude(yield* Effect.flip(member("one more")), { reason: "this room is full" })
      yield* member("0")
      yield* members[1]!.leave
      yield* member("one more")
    })
  )
})
