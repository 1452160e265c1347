import { HandshakeRejected, IoError, type HeaderRecord } from "@effect-websocket/protocol/Errors"
import * as Handshake from "@effect-websocket/protocol/Handshake"
import { assert, describe, it } from "@effect/vitest"
import * as fc from "fast-check"
import type { Transport } from "@effect-websocket/platform/Transport"
import type { ClientRequest } from "../../../src/engine/client/ClientRequest.js"
import type { Dialed, RejectedBody } from "../../../src/engine/client/Dial.js"
import { Dialing, type DialingPlan, type DialingResult, type Jar } from "../../../src/engine/client/Dialing.js"
import { Timers } from "../../../src/engine/time/Timers.js"
import { ManualClock } from "../ManualClock.js"

class FakeTransport implements Transport {
  readonly remoteAddress = undefined
  readonly bufferedBytes = 0
  aborts = 0
  start(): void {}
  pause(): void {}
  resume(): void {}
  write() {
    return { taken: true, belowHighWater: true }
  }
  end(): void {}
  abort(): void {
    this.aborts++
  }
}

class FakeBody implements RejectedBody {
  drops = 0
  onPart: ((part: Uint8Array) => void) | undefined = undefined
  onEnd: ((complete: boolean) => void) | undefined = undefined
  read(onPart: (part: Uint8Array) => void, onEnd: (complete: boolean) => void): void {
    this.onPart = onPart
    this.onEnd = onEnd
  }
  drop(): void {
    this.drops++
  }
}

interface Call {
  readonly url: string
  readonly headers: HeaderRecord
  readonly done: (dialed: Dialed) => void
  drops: number
}

const request = (url = "ws://test/"): ClientRequest => ({
  url: new URL(url),
  headers: {},
  userAgent: undefined,
  authorization: undefined,
  cookies: ""
})

/** A dialing whose servers and time a test plays. A connection is its transport. */
const setUp = ({
  maxRedirects = 0,
  ...own
}: Partial<DialingPlan<Transport>> & { readonly maxRedirects?: number } = {}) => {
  const clock = new ManualClock()
  const calls: Array<Call> = []
  const results: Array<DialingResult<Transport>> = []
  const dialing = new Dialing<Transport>({
    dial: (url, headers, done) => {
      const call: Call = { url: url.href, headers, done, drops: 0 }
      calls.push(call)
      return () => call.drops++
    },
    settings: { openTimeout: 10_000, maxRedirects, compression: undefined, random: undefined },
    timers: new Timers(clock),
    jar: undefined,
    protocols: undefined,
    origin: undefined,
    open: (transport) => transport,
    ...own
  })
  const start = (url?: string) => dialing.start(request(url), (result) => results.push(result))
  const last = () => {
    const call = calls.at(-1)
    assert(call !== undefined)
    return call
  }
  return { calls, clock, dialing, last, results, start }
}

const upgraded = (call: Call, transport: Transport, extra: HeaderRecord = {}): Dialed => ({
  _tag: "Upgraded",
  transport,
  headers: {
    upgrade: "websocket",
    connection: "upgrade",
    "sec-websocket-accept": Handshake.acceptValue(String(call.headers["Sec-WebSocket-Key"])),
    ...extra
  }
})

const rejected = (status: number, headers: HeaderRecord, body: RejectedBody): Dialed => ({
  _tag: "Rejected",
  status,
  headers,
  body
})

const errorOf = (result: DialingResult<Transport> | undefined) => {
  assert(result?._tag === "Failed")
  return { ...result.error }
}

const timeout = { ...new IoError({ reason: "Timeout", operation: "open" }) }

describe("Dialing", () => {
  it("opens in the step in which the answer comes, and leaves no timer", () => {
    const { calls, clock, dialing, last, results, start } = setUp({ protocols: ["a"], origin: "http://app" })
    start("ws://test/chat")
    assert.strictEqual(last().url, "ws://test/chat")
    assert.deepInclude(last().headers, { "Sec-WebSocket-Protocol": "a", Origin: "http://app" })
    assert.deepStrictEqual(results, [])
    assert.strictEqual(clock.sleeping, 1)
    const transport = new FakeTransport()
    last().done(upgraded(last(), transport))
    assert.deepStrictEqual(results, [{ _tag: "Opened", connection: transport }])
    assert.strictEqual(dialing.connection, transport)
    assert.strictEqual(clock.sleeping, 0)
    dialing.drop()
    dialing.beginClose()
    assert.strictEqual(results.length, 1)
    assert.deepStrictEqual([transport.aborts, calls.length, last().drops], [0, 1, 0])
  })

  it("sends nothing for a request that no header can carry", () => {
    const { calls, results, start } = setUp({ protocols: ["a b"] })
    start()
    assert.deepInclude(errorOf(results[0]), { _tag: "Protocol_error", origin: "local" })
    assert.deepStrictEqual(calls, [])
  })

  it("fails after openTimeout, drops the request, and aborts a transport that comes late", () => {
    const { clock, last, results, start } = setUp()
    start()
    clock.advance(9999)
    assert.deepStrictEqual(results, [])
    clock.advance(1)
    assert.deepStrictEqual(errorOf(results[0]), timeout)
    assert.strictEqual(last().drops, 1)
    const late = new FakeTransport()
    last().done(upgraded(last(), late))
    assert.strictEqual(late.aborts, 1)
    assert.strictEqual(results.length, 1)
  })

  it("aborts the transport of a second answer, and of an answer that breaks the handshake", () => {
    const { last, results, start } = setUp()
    start()
    const [wrong, second] = [new FakeTransport(), new FakeTransport()]
    last().done(upgraded(last(), wrong, { "sec-websocket-accept": "x" }))
    last().done(upgraded(last(), second))
    assert.deepInclude(errorOf(results[0]), { _tag: "Protocol_error", origin: "remote" })
    assert.deepStrictEqual([results.length, wrong.aborts, second.aborts], [1, 1, 1])
  })

  it("drops the body of an answer that comes late or second, whatever that throws", () => {
    const { clock, last, results, start } = setUp()
    start()
    clock.advance(10_000)
    const bodies = [new FakeBody(), new FakeBody()]
    for (const body of bodies) last().done(rejected(503, {}, body))
    const broken: RejectedBody = {
      read: () => {},
      drop: () => {
        throw new Error("bug")
      }
    }
    last().done(rejected(503, {}, broken))
    assert.deepStrictEqual(
      bodies.map(({ drops }) => drops),
      [1, 1]
    )
    assert.strictEqual(results.length, 1)
  })

  it("aborts the transport of an answer whose headers cannot be checked", () => {
    const { last, results, start } = setUp()
    start()
    const transport = new FakeTransport()
    const defect = new Error("bug")
    const headers = new Proxy<HeaderRecord>(
      {},
      {
        get: () => {
          throw defect
        }
      }
    )
    last().done({ _tag: "Upgraded", transport, headers })
    assert.deepStrictEqual(results, [{ _tag: "Died", defect }])
    assert.strictEqual(transport.aborts, 1)
  })

  it("is closed by its scope: before it starts nothing is sent, later the request is dropped", () => {
    const before = setUp()
    before.dialing.beginClose()
    before.start()
    assert.deepStrictEqual(before.results, [{ _tag: "Closed" }])
    assert.deepStrictEqual(before.calls, [])
    const later = setUp()
    later.start()
    later.dialing.beginClose()
    assert.deepStrictEqual(later.results, [{ _tag: "Closed" }])
    assert.deepStrictEqual([later.last().drops, later.clock.sleeping], [1, 0])
  })

  it("drops the request without a callback, also while it begins to dial", () => {
    const { clock, dialing, last, results, start } = setUp()
    start()
    dialing.drop()
    dialing.drop()
    assert.deepStrictEqual([results.length, last().drops, clock.sleeping], [0, 1, 0])
    let drops = 0
    const within = setUp({
      dial: () => {
        within.dialing.beginClose()
        return () => drops++
      }
    })
    within.start()
    assert.deepStrictEqual(within.results, [{ _tag: "Closed" }])
    assert.strictEqual(drops, 1)
  })

  it("dies of an error that the app throws, and leaves nothing open", () => {
    const defect = new Error("boom")
    const fail = () => {
      throw defect
    }
    const dialed = setUp({ dial: fail })
    dialed.start()
    assert.deepStrictEqual(dialed.results, [{ _tag: "Died", defect }])
    const opened = setUp({ open: fail })
    const transport = new FakeTransport()
    opened.start()
    opened.last().done(upgraded(opened.last(), transport))
    assert.deepStrictEqual(opened.results, [{ _tag: "Died", defect }])
    assert.strictEqual(transport.aborts, 1)
    const dropped = setUp({ dial: () => fail })
    dropped.start()
    dropped.clock.advance(10_000)
    assert.deepStrictEqual(errorOf(dropped.results[0]), timeout)
  })

  it("fails with the error of the dial", () => {
    for (const error of [
      new IoError({ reason: "Connect", operation: "connect" }),
      new HandshakeRejected({ status: 403, headers: {}, body: new Uint8Array(1), bodyTruncated: false })
    ]) {
      const { last, results, start } = setUp()
      start()
      last().done({ _tag: "Failed", error })
      assert.deepStrictEqual(results, [{ _tag: "Failed", error }])
    }
  })
})

describe("redirects", () => {
  it("are followed up to the limit, and drop the body before the next request", () => {
    const { calls, last, results, start } = setUp({ maxRedirects: 1 })
    start("ws://test/a")
    const body = new FakeBody()
    last().done(rejected(302, { location: "/b" }, body))
    assert.strictEqual(body.drops, 1)
    assert.strictEqual(last().url, "ws://test/b")
    const answer = new FakeBody()
    last().done(rejected(302, { location: "/c" }, answer))
    assert.strictEqual(calls.length, 2)
    answer.onEnd?.(true)
    assert.deepInclude(errorOf(results[0]), { _tag: "Handshake_rejected", status: 302, bodyTruncated: false })
    assert.strictEqual(answer.drops, 1)
  })

  it("fail in a circle, and share one openTimeout", () => {
    const circle = setUp({ maxRedirects: 5 })
    circle.start("ws://test/a")
    circle.last().done(rejected(302, { location: "/b" }, new FakeBody()))
    circle.last().done(rejected(302, { location: "/a" }, new FakeBody()))
    assert.deepInclude(errorOf(circle.results[0]), { _tag: "Protocol_error", origin: "remote" })
    assert.strictEqual(circle.calls.length, 2)
    const slow = setUp({ maxRedirects: 5 })
    slow.start("ws://test/a")
    slow.clock.advance(6000)
    slow.last().done(rejected(302, { location: "/b" }, new FakeBody()))
    slow.clock.advance(4000)
    assert.deepStrictEqual(errorOf(slow.results[0]), timeout)
  })
})

describe("the body of a rejected answer", () => {
  const setUpBody = (openMillis: number) => {
    const test = setUp()
    const body = new FakeBody()
    test.start()
    test.clock.advance(openMillis)
    test.last().done(rejected(503, { "retry-after": "1" }, body))
    return { ...test, body }
  }

  it("is read to its end", () => {
    const { body, clock, results } = setUpBody(0)
    body.onPart?.(new Uint8Array([1]))
    body.onPart?.(new Uint8Array([2]))
    assert.deepStrictEqual(results, [])
    body.onEnd?.(true)
    assert.deepInclude(errorOf(results[0]), {
      status: 503,
      headers: { "retry-after": "1" },
      body: new Uint8Array([1, 2]),
      bodyTruncated: false
    })
    assert.deepStrictEqual([body.drops, clock.sleeping], [1, 0])
  })

  it("is cut off when it is too large", () => {
    const { body, results } = setUpBody(0)
    body.onPart?.(new Uint8Array(65_537))
    body.onPart?.(new Uint8Array(1))
    assert.strictEqual(results.length, 1)
    assert.deepInclude(errorOf(results[0]), { bodyTruncated: true })
    assert.strictEqual(body.drops, 1)
  })

  for (const [elapsed, wait] of [
    [0, 2000],
    [7000, 2000],
    [9500, 500]
  ] as const) {
    it(`is cut off ${wait} milliseconds after an answer that took ${elapsed}`, () => {
      const { body, clock, results } = setUpBody(elapsed)
      body.onPart?.(new Uint8Array([1]))
      clock.advance(wait - 1)
      assert.deepStrictEqual(results, [])
      clock.advance(1)
      assert.deepInclude(errorOf(results[0]), { body: new Uint8Array([1]), bodyTruncated: true })
      assert.strictEqual(body.drops, 1)
    })
  }

  it("is dropped when nobody waits for it any more", () => {
    const { body, dialing, results } = setUpBody(0)
    dialing.drop()
    body.onEnd?.(true)
    assert.deepStrictEqual([body.drops, results.length], [1, 0])
  })
})

describe("the jar", () => {
  interface Ask {
    readonly what: string
    readonly done: (cookies: string) => void
    cancels: number
  }

  const setUpJar = (maxRedirects = 0) => {
    const asks: Array<Ask> = []
    const ask = (what: string, done: (cookies: string) => void) => {
      const entry: Ask = { what, done, cancels: 0 }
      asks.push(entry)
      return () => entry.cancels++
    }
    const jar: Jar = {
      cookieHeader: (url, done) => ask(`get ${url.href}`, done),
      setCookies: (url, headers, done) => ask(`set ${url.href} ${headers.join()}`, () => done())
    }
    const lastAsk = () => {
      const entry = asks.at(-1)
      assert(entry !== undefined)
      return entry
    }
    return { ...setUp({ jar, maxRedirects }), asks, lastAsk }
  }

  it("is asked before each request, and gets the cookies of each answer before the next step", () => {
    const { asks, last, lastAsk, calls, results, start } = setUpJar(1)
    start("wss://test/a")
    assert.strictEqual(calls.length, 0)
    lastAsk().done("a=1")
    assert.deepInclude(last().headers, { Cookie: "a=1" })
    last().done(rejected(302, { location: "/b", "set-cookie": ["b=2", "c=3"] }, new FakeBody()))
    assert.strictEqual(calls.length, 1)
    lastAsk().done("")
    lastAsk().done("a=1; b=2")
    const transport = new FakeTransport()
    last().done(upgraded(last(), transport, { "set-cookie": "d=4" }))
    assert.deepStrictEqual(results, [])
    lastAsk().done("")
    assert.deepStrictEqual(results, [{ _tag: "Opened", connection: transport }])
    assert.deepStrictEqual(
      asks.map(({ what }) => what),
      ["get https://test/a", "set https://test/a b=2,c=3", "get https://test/b", "set https://test/b d=4"]
    )
  })

  it("may answer at once", () => {
    let cancels = 0
    const jar: Jar = {
      cookieHeader: (_url, done) => {
        done("a=1")
        return () => cancels++
      },
      setCookies: (_url, _headers, done) => {
        done()
        return () => cancels++
      }
    }
    const dropped = setUp({ jar })
    dropped.start()
    dropped.dialing.drop()
    assert.deepStrictEqual([dropped.last().drops, cancels], [1, 0])
    const { last, results, start } = setUp({ jar })
    start()
    assert.deepInclude(last().headers, { Cookie: "a=1" })
    last().done(upgraded(last(), new FakeTransport(), { "set-cookie": "b=2" }))
    assert.strictEqual(results[0]?._tag, "Opened")
    assert.strictEqual(cancels, 0)
  })

  it("is cancelled with the dialing, and its time counts into openTimeout", () => {
    const dropped = setUpJar()
    dropped.start()
    dropped.dialing.drop()
    dropped.lastAsk().done("")
    assert.deepStrictEqual([dropped.lastAsk().cancels, dropped.calls.length], [1, 0])
    const slow = setUpJar()
    const transport = new FakeTransport()
    slow.start()
    slow.lastAsk().done("")
    slow.last().done(upgraded(slow.last(), transport, { "set-cookie": "a=1" }))
    slow.clock.advance(10_000)
    assert.deepStrictEqual(errorOf(slow.results[0]), timeout)
    assert.strictEqual(slow.lastAsk().cancels, 1)
    // The caller closes it.
    assert.strictEqual(slow.dialing.connection, transport)
  })

  it("keeps the cookies of a rejected answer, whose body is dropped with the dialing", () => {
    const { dialing, last, lastAsk, results, start } = setUpJar()
    const body = new FakeBody()
    start()
    lastAsk().done("")
    last().done(rejected(403, { "set-cookie": "a=1" }, body))
    assert.strictEqual(lastAsk().what, "set http://test/ a=1")
    dialing.beginClose()
    assert.deepStrictEqual(results, [{ _tag: "Closed" }])
    assert.deepStrictEqual([body.drops, lastAsk().cancels], [1, 1])
  })

  it("has no cookies for a Unix domain socket", () => {
    const { asks, calls, start } = setUpJar()
    start("ws+unix:///a.sock:/")
    assert.deepStrictEqual([asks.length, calls.length], [0, 1])
  })
})

describe("whatever happens, in any order", () => {
  const events = fc.array(
    fc.constantFrom("open", "wrong", "redirect", "reject", "fail", "part", "bodyEnd", "jar", "tick", "drop", "close"),
    { maxLength: 12 }
  )

  it("ends at most once, and nothing is left that nobody owns", () => {
    fc.assert(
      fc.property(events, fc.boolean(), (events, withJar) => {
        const transports: Array<FakeTransport> = []
        const bodies: Array<FakeBody> = []
        const asks: Array<{ readonly done: () => void; ends: number }> = []
        const ask = (done: () => void) => {
          const entry = { done, ends: 0 }
          asks.push(entry)
          return () => entry.ends++
        }
        const jar: Jar = {
          cookieHeader: (_url, done) => ask(() => done("")),
          setCookies: (_url, _headers, done) => ask(() => done())
        }
        const { calls, clock, dialing, results, start } = setUp({ maxRedirects: 3, jar: withJar ? jar : undefined })
        const answered = new Set<Call>()
        const answer = (make: (call: Call) => Dialed) => {
          const call = calls.at(-1)
          if (call === undefined) return
          if (call.drops === 0) answered.add(call)
          call.done(make(call))
        }
        const newBody = () => {
          const body = new FakeBody()
          bodies.push(body)
          return body
        }
        const newTransport = () => {
          const transport = new FakeTransport()
          transports.push(transport)
          return transport
        }
        start()
        for (const event of events) {
          // Only the first answer of a request is kept, so a body of another one would have no owner.
          const waits = calls.length > 0 && !answered.has(calls.at(-1)!) && calls.at(-1)!.drops === 0
          if (event === "open") answer((call) => upgraded(call, newTransport(), { "set-cookie": "a=1" }))
          else if (event === "wrong") answer((call) => upgraded(call, newTransport(), { upgrade: "x" }))
          else if (event === "redirect" && waits) {
            answer(() => rejected(302, { location: `/${calls.length}`, "set-cookie": "a=1" }, newBody()))
          } else if (event === "reject" && waits) answer(() => rejected(503, {}, newBody()))
          else if (event === "fail" && waits) {
            answer(() => ({ _tag: "Failed", error: new IoError({ reason: "Connect", operation: "connect" }) }))
          } else if (event === "part") bodies.at(-1)?.onPart?.(new Uint8Array(40_000))
          else if (event === "bodyEnd") bodies.at(-1)?.onEnd?.(true)
          else if (event === "jar") asks.at(-1)?.done()
          else if (event === "tick") clock.advance(1500)
          else if (event === "drop") dialing.drop()
          else if (event === "close") dialing.beginClose()
          assert.isAtMost(results.length, 1)
        }
        clock.advance(10_000)
        dialing.drop()
        assert.isAtMost(results.length, 1)
        assert.strictEqual(clock.sleeping, 0)
        for (const call of calls) assert.strictEqual(call.drops + Number(answered.has(call)), 1)
        for (const body of bodies) assert.strictEqual(body.drops, 1)
        for (const transport of transports) {
          assert.strictEqual(transport.aborts + Number(transport === dialing.connection), 1)
        }
        const [result] = results
        if (result?._tag === "Opened") assert.strictEqual(result.connection, dialing.connection)
      }),
      { numRuns: 500 }
    )
  })
})
