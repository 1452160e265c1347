import * as Handshake from "@effect-websocket/protocol/Handshake"
import { assert, describe, it } from "@effect/vitest"
import type { UpgradeAttempt } from "../../../src/engine/server/UpgradeAttempt.js"
import { type Answer, Exchanges, type Taken } from "../../../src/engine/testing/Exchange.js"
import { Pair } from "../../../src/engine/testing/Pair.js"
import { ManualClock } from "../ManualClock.js"

const turns = () => new Promise((resolve) => setImmediate(resolve))

const requestHeaders = () => {
  const headers = Handshake.requestHeaders({ key: "dGhlIHNhbXBsZSBub25jZQ==" })
  assert(!("_tag" in headers))
  return headers
}

/** Exchanges with a server that keeps its attempts, or does something with them. */
const made = (serve: (attempt: UpgradeAttempt) => void = () => {}) => {
  const served: Array<UpgradeAttempt> = []
  const exchanges = new Exchanges((attempt) => {
    served.push(attempt)
    serve(attempt)
  })
  return {
    exchanges,
    served,
    /** The targets of the requests that the server got, in order. */
    get targets() {
      return served.map(({ request }) => request.url)
    },
    dial: (target: string, headers = requestHeaders()) => {
      const pair = new Pair(new ManualClock())
      const answers: Array<Answer> = []
      const drop = exchanges.dial(pair, new URL(`ws://test${target}`), headers, (answer) => answers.push(answer))
      return { pair, answers, drop }
    },
    /** Asks as a test does: takes in a later step than it is called. */
    ask: () => {
      const asking = { calls: 0, leave: () => {}, take: (): Taken | undefined => undefined }
      asking.leave = exchanges.ask(() => void asking.calls++)
      asking.take = () => {
        const taken = exchanges.take()
        asking.leave()
        return taken
      }
      return asking
    }
  }
}

const targetOf = (taken: Taken | undefined) => taken?.request.url

describe("Exchanges", () => {
  it("give a request to the server in a later turn, with the headers of the client and its host", async () => {
    const world = made()
    const { pair } = world.dial("/room?a=b")
    assert.deepStrictEqual(world.targets, [])
    await turns()
    const [attempt] = world.served
    assert(attempt !== undefined)
    const { headers, httpVersion, method, url } = attempt.request
    assert.deepStrictEqual([method, url, httpVersion], ["GET", "/room?a=b", "1.1"])
    assert.deepInclude(headers, { host: "test", "sec-websocket-key": "dGhlIHNhbXBsZSBub25jZQ==" })
    assert.strictEqual(attempt.remoteAddress, pair.client.remoteAddress)
    assert.isFalse(attempt.isGone())
  })

  it("give the client the server's answer, in a later turn", async () => {
    const accepting = made((attempt) => void attempt.upgrade({ "X-Name": "value" }))
    const accepted = accepting.dial("/")
    await Promise.resolve()
    assert.deepStrictEqual([accepting.served.length, accepted.answers], [1, []])
    await turns()
    assert.deepStrictEqual(accepted.answers, [
      { _tag: "Upgraded", headers: { "x-name": "value" }, transport: accepted.pair.client }
    ])

    const refusing = made((attempt) => attempt.reject(503, { "Retry-After": "2" }, "later"))
    const { answers } = refusing.dial("/")
    await turns()
    const [answer] = answers
    assert(answer?._tag === "Failed" && answer.error._tag === "Handshake_rejected")
    const { body, bodyTruncated, headers, status } = answer.error
    assert.deepStrictEqual(
      [status, headers, new TextDecoder().decode(body), bodyTruncated],
      [503, { "retry-after": "2" }, "later", false]
    )
    assert.isUndefined(refusing.exchanges.take())
  })

  it("leave a request that is not valid to the server", async () => {
    const world = made((attempt) => attempt.reject(400, {}, ""))
    const asking = world.ask()
    world.dial("/", {})
    await turns()
    assert.deepStrictEqual([world.targets, asking.calls, asking.take()], [["/"], 0, undefined])
  })

  it("call those that ask in their order, and then the server", async () => {
    const world = made()
    const [first, second] = [world.ask(), world.ask()]
    for (const target of ["/1", "/2", "/3"]) world.dial(target)
    await turns()
    assert.deepStrictEqual([first.calls, second.calls, world.targets], [1, 1, ["/3"]])
    assert.deepStrictEqual([targetOf(first.take()), targetOf(second.take())], ["/1", "/2"])
    assert.strictEqual(world.served.length, 1)
  })

  it("take a request back from the server, to which the client seems gone", async () => {
    const world = made()
    let gone = 0
    const { answers } = world.dial("/1")
    await turns()
    const [attempt] = world.served
    attempt?.onGone?.(() => gone++)
    const asking = world.ask()
    assert.strictEqual(asking.calls, 1)
    const taken = asking.take()
    assert.deepStrictEqual([targetOf(taken), attempt?.isGone(), gone], ["/1", true, 1])
    // The server gives up, which is no answer any more.
    attempt?.reject(503, {}, "")
    taken?.exchange.unreachable()
    await turns()
    const [answer, ...more] = answers
    assert.deepStrictEqual(more, [])
    assert(answer?._tag === "Failed" && answer.error._tag === "Io_error")
    assert.strictEqual(answer.error.reason, "Connect")
  })

  it("let a test answer: the transports of both ends are joined", async () => {
    const world = made()
    const asking = world.ask()
    const { answers, pair } = world.dial("/")
    await turns()
    const transport = asking.take()?.exchange.upgrade({})
    assert.strictEqual(transport, pair.server)
    await turns()
    assert.deepStrictEqual(answers, [{ _tag: "Upgraded", headers: {}, transport: pair.client }])
    assert.isEmpty(world.served)
  })

  it("give a taken request to the server, and no test gets it then", async () => {
    const world = made((attempt) => void attempt.upgrade({}))
    const asking = world.ask()
    const { answers } = world.dial("/")
    await turns()
    const taken = asking.take()
    assert(taken !== undefined)
    world.exchanges.forward(taken)
    await turns()
    assert.deepStrictEqual([world.targets, answers.length, world.exchanges.take()], [["/"], 1, undefined])
  })

  it("pass a request on if the called test leaves: to the next test, or to the server", async () => {
    const world = made()
    const asking = [world.ask(), world.ask(), world.ask()] as const
    const [first, second, third] = asking
    third.leave()
    world.dial("/")
    await turns()
    const calls = () => asking.map((each) => each.calls)
    assert.deepStrictEqual(calls(), [1, 0, 0])
    first.leave()
    assert.deepStrictEqual([calls(), world.targets], [[1, 1, 0], []])
    second.leave()
    second.leave()
    assert.deepStrictEqual([calls(), world.targets], [[1, 1, 0], ["/"]])
  })

  it("keep a request for each that was called, if another of them leaves", async () => {
    const world = made((attempt) => void attempt.upgrade({}))
    const [first, second, third] = [world.ask(), world.ask(), world.ask()]
    for (const target of ["/1", "/2", "/3"]) world.dial(target)
    await turns()
    assert.deepStrictEqual([first.calls, second.calls, third.calls], [1, 1, 1])
    first.leave()
    // One request too many for the two that are left: the last one.
    assert.deepStrictEqual(world.targets, ["/3"])
    assert.deepStrictEqual([targetOf(second.take()), targetOf(third.take())], ["/1", "/2"])
    assert.deepStrictEqual(world.targets, ["/3"])
  })

  it("let a late test take the request for which another was called, which then finds the next one", async () => {
    const world = made()
    const first = world.ask()
    for (const target of ["/1", "/2"]) world.dial(target)
    await turns()
    const late = world.ask()
    assert.deepStrictEqual([targetOf(late.take()), targetOf(first.take())], ["/1", "/2"])
    assert.deepStrictEqual([world.targets, world.served[0]?.isGone()], [["/2"], true])
    assert.isUndefined(world.ask().take())
  })

  it("work for one that takes in the call itself", async () => {
    const world = made()
    const seen: Array<string | undefined> = []
    const leave = world.exchanges.ask(() => seen.push(targetOf(world.exchanges.take())))
    world.dial("/1")
    world.dial("/2")
    await turns()
    leave()
    assert.deepStrictEqual([seen, world.targets], [["/1"], ["/2"]])
  })

  it("forget a request that is dropped, and abort its transport", async () => {
    const world = made()
    const early = world.dial("/early")
    early.drop()
    const asking = world.ask()
    const waiting = world.dial("/waiting")
    await turns()
    waiting.drop()
    assert.deepStrictEqual([asking.calls, asking.take(), world.targets], [1, undefined, []])

    let gone = 0
    const offered = world.dial("/offered")
    await turns()
    const [attempt] = world.served
    attempt?.onGone?.(() => gone++)
    offered.drop()
    assert.deepStrictEqual([attempt?.isGone(), gone], [true, 1])

    // The answer is on its way.
    const answered = world.dial("/answered")
    await turns()
    world.served[1]?.upgrade({})
    answered.drop()
    await turns()
    for (const { answers, pair } of [early, waiting, offered, answered]) {
      assert.deepStrictEqual(answers, [])
      const seen: Array<string> = []
      const sink = { onChunk: () => {}, onEof: () => {}, onDrain: () => {}, onError: () => {} }
      pair.client.start({ ...sink, onClose: () => seen.push("close") }, { high: 1, low: 0 })
      await turns()
      assert.deepStrictEqual(seen, ["close"])
    }
  })
})
