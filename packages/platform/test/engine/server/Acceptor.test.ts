import { assert, describe, it } from "@effect/vitest"
import * as Origin from "@effect-websocket/protocol/Origin"
import { Defect } from "../../../src/engine/Defect.js"
import { Acceptor } from "../../../src/engine/server/Acceptor.js"
import type { Check, Outcome } from "../../../src/engine/server/Check.js"
import type { Policy } from "../../../src/engine/server/Policy.js"
import { Route } from "../../../src/engine/server/Route.js"
import { FakeAttempt, FakeConnector, makeTimers, policyOf } from "./fakes.js"

const make = (own: Partial<Policy> = {}) => {
  const { clock, timers } = makeTimers()
  const log: Array<readonly [string, string, unknown]> = []
  const policy = policyOf(own)
  const acceptor = new Acceptor(policy, timers, (level, message, detail) => log.push([level, message, detail]))
  const connector = new FakeConnector()
  const addRoute = (path: string | undefined, check?: Check): Route => {
    const route = new Route({ path, origin: policy.origin, select: policy.select, check }, acceptor)
    acceptor.add(route)
    return route
  }
  const offer = (url = "/", headers = {}): FakeAttempt => {
    const attempt = new FakeAttempt(url, headers)
    acceptor.offer(attempt)
    return attempt
  }
  return { acceptor, addRoute, clock, connector, log, offer }
}

/** A check that is done when a test says so. */
const manual = () => {
  const notBegun: (outcome: Outcome) => void = () => assert.fail("The check has not begun")
  const state = { cancelled: 0, done: notBegun }
  const check: Check = (_, done) => {
    state.done = done
    return () => void state.cancelled++
  }
  return { check, state }
}

const accepted = { _tag: "Acceptance", value: undefined } as const

describe("a request", () => {
  it("gets its 101, its place and its start in the step that takes it", () => {
    const { acceptor, connector, offer } = make()
    const attempt = offer()
    assert.deepStrictEqual(attempt.answers, [])
    const connection = acceptor.fallback.take(connector)
    assert(connection !== undefined)
    assert.deepStrictEqual(attempt.answers, [101])
    assert.deepStrictEqual(
      acceptor.connections.all.map((open) => [open.connection, open.id]),
      [[connection, 1]]
    )
    connection.end()
    assert.deepStrictEqual(acceptor.connections.all, [])
    assert.strictEqual(acceptor.fallback.take(connector), undefined)
  })

  it("is passed over if its client has gone, before or while it waits", () => {
    const { acceptor, connector, offer } = make()
    offer("/gone").leave()
    const late = offer("/late")
    const kept = offer("/kept")
    Object.defineProperty(late, "isGone", { value: () => true })
    assert.strictEqual(acceptor.fallback.take(connector)?.url, "/kept")
    assert.deepStrictEqual([late.answers, kept.answers], [[], [101]])
  })

  it("gets 503 if nobody takes it in time, and leaves no timer", () => {
    const { clock, offer } = make()
    const attempt = offer()
    clock.advance(9_999)
    assert.deepStrictEqual(attempt.answers, [])
    clock.advance(1)
    assert.deepStrictEqual(attempt.answers, [503])
    assert.deepStrictEqual(attempt.headers, { "Retry-After": "5" })
    assert.strictEqual(clock.sleeping, 0)
  })

  it("gets 400 for a broken handshake and 403 for a foreign origin, with a warning", () => {
    const { log, offer } = make({ origin: Origin.allowList(["https://a.example"]) })
    assert.deepStrictEqual(offer("/", { "sec-websocket-key": "short" }).answers, [400])
    assert.deepStrictEqual(offer("/", { origin: "https://b.example" }).answers, [403])
    assert.deepStrictEqual(
      log.map(([level]) => level),
      ["warning", "warning"]
    )
  })

  it("gets 500 if a function of the app throws, and costs no other request anything", () => {
    const cause = new Error("a bug")
    const { acceptor, log, offer } = make({
      origin: () => {
        throw cause
      }
    })
    assert.deepStrictEqual(offer().answers, [500])
    assert.deepStrictEqual(log, [["error", "The check of an upgrade request failed", new Defect(cause)]])
    assert.deepStrictEqual(acceptor.connections.all, [])
  })

  it("keeps its place until the connection has ended", () => {
    const { gate } = policyOf()
    const { acceptor, connector, offer } = make({ gate: { ...gate, maxConnections: 1 } })
    offer()
    assert.deepStrictEqual(offer().answers, [503])
    const connection = acceptor.fallback.take(connector)
    assert.deepStrictEqual(offer().answers, [503])
    connection?.end()
    const next = offer()
    assert.deepStrictEqual(next.answers, [])
    next.leave()
    assert.deepStrictEqual(offer().answers, [])
  })
})

describe("a caller that waits for a request", () => {
  it("is woken, one for each request, in order", () => {
    const { acceptor, offer } = make()
    const woken: Array<string> = []
    acceptor.fallback.whenReady(() => woken.push("one"))
    acceptor.fallback.whenReady(() => woken.push("two"))
    offer()
    assert.deepStrictEqual(woken, ["one"])
    offer()
    assert.deepStrictEqual(woken, ["one", "two"])
  })

  it("passes the request on if it does not take it", () => {
    const { acceptor, clock, offer } = make()
    const woken: Array<string> = []
    const giveUp = acceptor.fallback.whenReady(() => woken.push("one"))
    const giveUpToo = acceptor.fallback.whenReady(() => woken.push("two"))
    const attempt = offer()
    assert.strictEqual(clock.sleeping, 0)
    giveUp()
    assert.deepStrictEqual(woken, ["one", "two"])
    giveUpToo()
    // Nobody waits any more, so its time begins to run.
    clock.advance(10_000)
    assert.deepStrictEqual(attempt.answers, [503])
  })

  it("is woken at once if a request waits already, and when the route stops", () => {
    const { acceptor, offer } = make()
    const woken: Array<string> = []
    const giveUp = acceptor.fallback.whenReady(() => woken.push("early"))
    giveUp()
    offer()
    acceptor.fallback.whenReady(() => woken.push("at once"))
    assert.deepStrictEqual(woken, ["at once"])
    acceptor.stop()
    acceptor.fallback.whenReady(() => woken.push("stopped"))
    assert.isTrue(acceptor.fallback.stopped)
    assert.deepStrictEqual(woken, ["at once", "stopped"])
  })
})

describe("a check", () => {
  it("accepts with a value", () => {
    const { addRoute, connector, offer } = make()
    const { check, state } = manual()
    const route = addRoute("/a", check)
    const attempt = offer("/a")
    assert.strictEqual(route.take(connector), undefined)
    state.done({ ...accepted, value: 7 })
    const connection = route.take(connector)
    assert.strictEqual(Reflect.get(connection ?? {}, "value"), 7)
    assert.deepStrictEqual(attempt.answers, [101])
    assert.strictEqual(state.cancelled, 0)
  })

  it("may be done in the same step", () => {
    const { addRoute, connector, offer } = make()
    const route = addRoute("/a", (_, done) => {
      done(accepted)
      return () => assert.fail("cancelled")
    })
    const attempt = offer("/a")
    attempt.leave()
    assert.strictEqual(route.take(connector), undefined)
  })

  it("rejects with an HTTP response, and gets 500 for one that cannot be written", () => {
    const { addRoute, log, offer } = make()
    const { check, state } = manual()
    addRoute("/a", check)
    const outcomes: ReadonlyArray<readonly [number, Record<string, string>]> = [
      [401, { "X-Why": "who?" }],
      [299, {}],
      [401, { connection: "keep-alive" }],
      [401, { "not a token": "" }],
      [401, { "x-why": "a\nb" }]
    ]
    const answers = outcomes.map(([status, headers]) => {
      const attempt = offer("/a")
      state.done({ _tag: "Rejection", status, headers, body: "" })
      return attempt.answers
    })
    assert.deepStrictEqual(answers, [[401], [500], [500], [500], [500]])
    assert.strictEqual(log.length, 4)
  })

  it("is cancelled when its client goes, its time is up, or the route stops, and its outcome is ignored then", () => {
    const { acceptor, addRoute, clock, connector, offer } = make()
    const { check, state } = manual()
    const route = addRoute("/a", check)
    const gone = offer("/a")
    gone.leave()
    assert.strictEqual(state.cancelled, 1)
    state.done(accepted)
    const slow = offer("/a")
    clock.advance(10_000)
    assert.strictEqual(state.cancelled, 2)
    const late = offer("/a")
    acceptor.remove(route)
    assert.strictEqual(state.cancelled, 3)
    state.done(accepted)
    assert.deepStrictEqual([gone.answers, slow.answers, late.answers], [[], [503], [503]])
    assert.strictEqual(route.take(connector), undefined)
    assert.strictEqual(clock.sleeping, 0)
  })

  it("that fails is logged, and gets 500", () => {
    const { addRoute, log, offer } = make()
    addRoute("/a", (_, done) => {
      done({ _tag: "CheckFailure", message: "It failed", detail: "why" })
      return () => {}
    })
    assert.deepStrictEqual(offer("/a").answers, [500])
    assert.deepStrictEqual(log, [["error", "It failed", "why"]])
  })

  it("that throws gets its request one answer, 500", () => {
    const cause = new Error("a bug")
    const { addRoute, clock, connector, log, offer } = make()
    const route = addRoute("/a", () => {
      throw cause
    })
    const attempt = offer("/a")
    clock.advance(10_000)
    assert.deepStrictEqual([attempt.answers, clock.sleeping], [[500], 0])
    assert.deepStrictEqual(log, [["error", "The check of an upgrade request failed", new Defect(cause)]])
    assert.strictEqual(route.take(connector), undefined)
  })

  it("accepts with settings that make no sense: the request gets 500", () => {
    const { addRoute, connector, log, offer } = make()
    const defect = new Defect(new RangeError("no"))
    const route = addRoute("/a", (_, done) => {
      done({ ...accepted, settings: defect })
      return () => {}
    })
    const attempt = offer("/a")
    assert.strictEqual(route.take(connector), undefined)
    assert.deepStrictEqual(attempt.answers, [500])
    assert.deepStrictEqual(log, [["error", "Refused an upgrade request", defect]])
  })
})

describe("routes", () => {
  it("take requests from special to general, and other paths get 404 unless the server itself is asked", () => {
    const { acceptor, addRoute, connector, offer } = make()
    const all = addRoute("/*")
    const files = addRoute("/files/*")
    const one = addRoute("/files/one")
    for (const url of ["/files/one?x", "/files/two", "/other"]) offer(url)
    assert.strictEqual(one.take(connector)?.url, "/files/one?x")
    assert.strictEqual(files.take(connector)?.url, "/files/two")
    assert.strictEqual(all.take(connector)?.url, "/other")
    acceptor.remove(all)
    assert.isFalse(acceptor.claims("/other"))
    assert.deepStrictEqual(offer("/other").answers, [404])
    assert.strictEqual(acceptor.fallback.take(connector), undefined)
    assert.isTrue(acceptor.claims("/other"))
    offer("/other")
    assert.strictEqual(acceptor.fallback.take(connector)?.url, "/other")
  })

  it("take requests that came before them", () => {
    const { acceptor, addRoute, connector, offer } = make()
    offer("/a")
    offer("/b")
    const route = addRoute("/a")
    assert.strictEqual(route.take(connector)?.url, "/a")
    assert.strictEqual(acceptor.fallback.take(connector)?.url, "/b")
  })
})

describe("a request that waits for its route", () => {
  const rate = { burst: 60_000, cost: 60_000 }
  const limited = { ...policyOf().gate, rate, ratePerKey: rate, key: () => "client" }

  it("is admitted once, and keeps its place and its deadline", () => {
    const { acceptor, addRoute, clock, connector, offer } = make({
      gate: { ...limited, maxConnections: 2, maxHandshakes: 1, maxConnectionsPerKey: 1 }
    })
    const attempt = offer("/a")
    clock.advance(9_000)
    const { check, state } = manual()
    const route = addRoute("/a", check)
    assert.deepStrictEqual(attempt.answers, [])
    assert.strictEqual(acceptor.fallback.take(connector), undefined)
    state.done(accepted)
    clock.advance(999)
    assert.deepStrictEqual(attempt.answers, [])
    clock.advance(1)
    assert.deepStrictEqual(attempt.answers, [503])
    assert.strictEqual(state.cancelled, 0)
    // Its place is free again.
    clock.advance(60_000)
    assert.deepStrictEqual(offer("/a").answers, [])
    state.done(accepted)
    assert.strictEqual(route.take(connector)?.url, "/a")
  })

  it("may leave after it was passed on", () => {
    const { addRoute, clock, connector, offer } = make({ gate: { ...limited, rate: undefined, ratePerKey: undefined } })
    const attempt = offer("/a")
    const { check, state } = manual()
    const route = addRoute("/a", check)
    attempt.leave()
    assert.strictEqual(state.cancelled, 1)
    state.done(accepted)
    assert.strictEqual(route.take(connector), undefined)
    assert.deepStrictEqual([attempt.answers, clock.sleeping], [[], 0])
  })

  it("is asked for its origin again only if the route has a policy of its own", () => {
    let asked = 0
    const { acceptor, addRoute, connector, log, offer } = make({ gate: limited, origin: () => void asked++ })
    const attempt = offer("/a", { origin: "https://b.example" })
    const { select } = acceptor.policy
    const other = new Route(
      { path: "/other", origin: Origin.allowList(["https://a.example"]), select, check: undefined },
      acceptor
    )
    acceptor.add(other)
    assert.strictEqual(addRoute("/a").take(connector)?.url, "/a")
    assert.deepStrictEqual([asked, attempt.answers], [1, [101]])
    const strict = make()
    const refused = strict.offer("/a", { origin: "https://b.example" })
    const own = { path: "/a", origin: Origin.allowList(["https://a.example"]), select, check: undefined }
    strict.acceptor.add(new Route(own, strict.acceptor))
    assert.deepStrictEqual([refused.answers, strict.clock.sleeping], [[403], 0])
    assert.deepStrictEqual([log, strict.log.map(([level]) => level)], [[], ["warning"]])
  })

  it("gets 500 if the policy of the route throws, and one answer if it ends the server", () => {
    const cause = new Error("a bug")
    const policies: ReadonlyArray<readonly [number, (acceptor: Acceptor) => void]> = [
      [
        500,
        () => {
          throw cause
        }
      ],
      [503, (acceptor) => acceptor.close()],
      [503, (acceptor) => void acceptor.drain({ code: 1001, reason: "", window: 0, timeout: 1 }, () => 0)]
    ]
    for (const [status, policy] of policies) {
      const { acceptor, clock, connector, offer } = make()
      const attempt = offer("/a")
      const { select } = acceptor.policy
      const origin = () => policy(acceptor) as undefined
      const route: Route = new Route({ path: "/a", origin, select, check: undefined }, acceptor)
      acceptor.add(route)
      assert.deepStrictEqual([attempt.answers, route.take(connector)], [[status], undefined])
      clock.advance(10_000)
      assert.deepStrictEqual([attempt.answers, clock.sleeping], [[status], 0])
    }
  })

  it("stays with the server if the policy removes the route", () => {
    const { acceptor, connector, offer } = make()
    const attempt = offer("/a")
    const { select } = acceptor.policy
    const origin = () => acceptor.remove(route) as undefined
    const route: Route = new Route({ path: "/a", origin, select, check: undefined }, acceptor)
    acceptor.add(route)
    assert.deepStrictEqual([attempt.answers, route.take(connector)], [[], undefined])
    assert.strictEqual(acceptor.fallback.take(connector)?.url, "/a")
  })
})

describe("the end of a server", () => {
  it("answers 503 to requests that wait and to those that come, and leaves connections open", () => {
    const { acceptor, connector, log, offer } = make()
    offer()
    const connection = acceptor.fallback.take(connector)
    const waiting = offer()
    acceptor.close()
    assert.deepStrictEqual([waiting.answers, offer().answers, connection?.codes], [[503], [503], []])
    assert.deepStrictEqual(log, [["debug", "Refused an upgrade request", "The server is stopping"]])
  })

  it("drains all routes together, once", () => {
    const { acceptor, addRoute, connector, offer } = make()
    const route = addRoute("/a")
    offer("/a")
    const connection = route.take(connector)
    const settings = { code: 1001, reason: "", window: 0, timeout: 1000 } as const
    const draining = acceptor.drain(settings, () => 0)
    assert.strictEqual(
      acceptor.drain(settings, () => 0),
      draining
    )
    assert.deepStrictEqual(connection?.codes, [1001])
    assert.deepStrictEqual(offer("/a").answers, [503])
    const reports: Array<unknown> = []
    draining.whenReported((report) => reports.push(report))
    connection?.end()
    assert.deepStrictEqual(reports, [{ closed: 1, dropped: 0, interrupted: 0 }])
  })

  it("drains the connections of a route that is gone, and waits for their handlers", () => {
    const { acceptor, addRoute, connector, offer } = make()
    const route = addRoute("/a")
    offer("/a")
    const connection = route.take(connector)
    let running = 1
    let ended = (): void => assert.fail("Nobody waits for the handler")
    route.handlers.add({
      get size() {
        return running
      },
      whenEmpty: (done) => {
        ended = done
        return () => {}
      },
      interrupt: () => running
    })
    acceptor.remove(route)
    const reports: Array<unknown> = []
    acceptor
      .drain({ code: 1001, reason: "", window: 0, timeout: 1000 }, () => 0)
      .whenReported((report) => reports.push(report))
    assert.deepStrictEqual(connection?.codes, [1001])
    connection?.end()
    assert.deepStrictEqual(reports, [])
    running = 0
    ended()
    assert.deepStrictEqual(reports, [{ closed: 1, dropped: 0, interrupted: 0 }])
  })

  it("drains a route alone", () => {
    const { acceptor, addRoute, connector, offer } = make()
    const [goes, stays] = [addRoute("/goes"), addRoute("/stays")]
    offer("/stays")
    const connection = stays.take(connector)
    goes.drain({ code: 1001, reason: "", window: 0, timeout: 1000 }, () => 0)
    assert.deepStrictEqual(offer("/goes").answers, [503])
    const admitted = acceptor.admit(new FakeAttempt("/stays"), stays)
    assert(admitted !== undefined)
    assert.isFalse(acceptor.refuseLate(new FakeAttempt(), admitted))
    const late = new FakeAttempt()
    assert.isTrue(acceptor.refuseLate(late, { ...admitted, route: goes }))
    assert.deepStrictEqual(late.answers, [503])
    assert.deepStrictEqual(connection?.codes, [])
  })
})

describe("a function of the app that ends the server", () => {
  const settings = { code: 1001, reason: "", window: 0, timeout: 1000 } as const
  const ends: Record<string, (acceptor: Acceptor, route: Route) => void> = {
    "closes it": (acceptor) => acceptor.close(),
    "stops it": (acceptor) => acceptor.stop(),
    "drains it": (acceptor) => void acceptor.drain(settings, () => 0),
    "drains the route": (_, route) => void route.drain(settings, () => 0),
    "removes the route": (acceptor, route) => acceptor.remove(route)
  }
  const functions = ["trusted", "origin", "key", "check", "select", "isGone"] as const

  for (const [name, end] of Object.entries(ends)) {
    for (const which of functions) {
      // Its route is not found yet: the server itself takes the request.
      if (name === "removes the route" && which === "trusted") continue
      it(`${name} in ${which}: its request gets 503 and no connection`, () => {
        const called: Array<string> = []
        const call = (by: string): void => {
          called.push(by)
          if (by === which) end(acceptor, route)
        }
        const { gate } = policyOf()
        const { acceptor, addRoute, connector } = make({
          proxies: { trusted: () => (call("trusted"), false), header: "x-forwarded-for", trustUnixSocket: false },
          origin: () => void call("origin"),
          select: () => void call("select"),
          gate: { ...gate, maxConnectionsPerKey: 9, key: () => (call("key"), "key") }
        })
        const route = addRoute("/a", (_, done) => {
          call("check")
          done(accepted)
          return () => {}
        })
        const attempt = new FakeAttempt("/a", { "x-forwarded-for": "192.0.2.2", "sec-websocket-protocol": "a" })
        let isOffered = false
        Object.defineProperty(attempt, "isGone", {
          value: () => {
            if (isOffered) call("isGone")
            return false
          }
        })
        acceptor.offer(attempt)
        isOffered = true
        assert.strictEqual(route.take(connector), undefined)
        assert.include(called, which)
        assert.deepStrictEqual([attempt.answers, acceptor.connections.all], [[503], []])
        assert.deepStrictEqual(connector.made, [])
      })
    }
  }

  it("drains it while the 101 is written: the drain does not know the connection, which is closed", () => {
    const { acceptor, connector } = make()
    const attempt = new FakeAttempt()
    const { upgrade } = attempt
    Object.defineProperty(attempt, "upgrade", {
      value: (headers: Record<string, string>) => {
        acceptor.drain(settings, () => 0)
        return upgrade(headers)
      }
    })
    acceptor.offer(attempt)
    const connection = acceptor.fallback.take(connector)
    assert.deepStrictEqual([attempt.answers, connection?.codes], [[101], [1001]])
  })
})

describe("firstMessageTimeout", () => {
  it("closes a connection with 1008 if its first message does not arrive in time", () => {
    const { acceptor, clock, connector, offer } = make({ firstMessageTimeout: 3_000 })
    for (const url of ["/silent", "/talks", "/gone"]) offer(url)
    const [silent, talks, gone] = [1, 2, 3].map(() => acceptor.fallback.take(connector))
    assert(silent !== undefined && talks !== undefined && gone !== undefined)
    talks.receivedMessages = 1
    gone.end()
    clock.advance(3_000)
    assert.deepStrictEqual([silent.codes, talks.codes, gone.codes], [[1008], [], []])
    assert.strictEqual(clock.sleeping, 0)
  })
})
