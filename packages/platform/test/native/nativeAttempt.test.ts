import { assert, describe, it } from "@effect/vitest"
import { asksForUpgrade, headerLines, meansUpgrade, nativeAttempt, refusalOf } from "../../src/native/nativeAttempt.js"
import { makeHost, makeRequest, type FakeAnswer } from "./FakeHost.js"

const attempted = (made = makeHost(), { leave, request } = makeRequest()) => {
  const done: Array<FakeAnswer> = []
  const attempt = nativeAttempt(request, "192.0.2.1", made.host, (answer) => done.push(answer))
  return { ...made, attempt, done, leave }
}

const handshake = { Upgrade: "websocket", Connection: "Upgrade", "Sec-WebSocket-Accept": "x" }

describe("nativeAttempt", () => {
  it("has the target and the headers of the request", () => {
    const { attempt } = attempted()
    assert.strictEqual(attempt.request.url, "/path?a=1")
    assert.deepInclude(Object(attempt.request.headers), { "sec-websocket-version": "13" })
    assert.strictEqual(attempt.remoteAddress, "192.0.2.1")
  })

  it("gives the host the app's headers and the subprotocol, without those of the handshake", () => {
    const { answers, attempt, done } = attempted()
    attempt.upgrade({ ...handshake, "Sec-WebSocket-Protocol": "chat", "Set-Cookie": ["a=1", "b=2"] })
    assert.deepStrictEqual(answers, [{ headers: { "Set-Cookie": ["a=1", "b=2"] }, protocol: "chat" }])
    assert.deepStrictEqual(
      done.map(({ status }) => status),
      [101]
    )
  })

  it("answers once", () => {
    const { attempt, done } = attempted()
    attempt.reject(403, {}, "no")
    attempt.reject(503, {}, "late")
    assert.throws(() => attempt.upgrade(handshake), "answered already")
    assert.deepStrictEqual(done, [{ status: 403, headers: {}, body: "no" }])
  })

  it("answers 500 if the host throws, and passes the error on", () => {
    const made = makeHost()
    const failing = {
      ...made,
      host: {
        ...made.host,
        upgrade: () => {
          throw new Error("gone")
        }
      }
    }
    const { attempt, done } = attempted(failing)
    assert.throws(() => attempt.upgrade(handshake), "gone")
    assert.deepStrictEqual(
      done.map(({ status }) => status),
      [500]
    )
  })

  it("answers 500 in place of an answer that the host refuses", () => {
    const made = makeHost()
    const respond: typeof made.host.respond = (status, headers, body) => {
      if (status === 399) throw new RangeError("invalid status")
      return { status, headers, body }
    }
    const { attempt, done } = attempted({ ...made, host: { ...made.host, respond } })
    assert.throws(() => attempt.reject(399, {}, ""), "invalid status")
    assert.deepStrictEqual(
      done.map(({ status }) => status),
      [500]
    )
  })

  it("tells when the client goes, and lets the host's handler end", () => {
    const { attempt, done, leave } = attempted()
    const told: Array<string> = []
    attempt.onGone?.(() => told.push("first"))
    attempt.onGone?.(() => told.push("second"))
    assert.isFalse(attempt.isGone())
    leave()
    assert.deepStrictEqual(told, ["second"])
    assert.isTrue(attempt.isGone())
    assert.strictEqual(done.length, 1)
  })

  it("tells at once if the client is gone already, and nothing once it is answered", () => {
    const early = attempted()
    early.leave()
    const told: Array<string> = []
    early.attempt.onGone?.(() => told.push("early"))
    assert.deepStrictEqual(told, ["early"])
    const answered = attempted()
    answered.attempt.onGone?.(() => told.push("never"))
    answered.attempt.upgrade(handshake)
    answered.leave()
    answered.attempt.onGone?.(() => told.push("never"))
    assert.deepStrictEqual(told, ["early"])
  })

  it("does not read the signal of a request that does not wait", () => {
    const { request } = makeRequest()
    const quiet = Object.defineProperty({ ...request }, "signal", {
      get: () => assert.fail("it was read")
    })
    const attempt = nativeAttempt(quiet, undefined, makeHost().host, () => {})
    assert.isFalse(attempt.isGone())
    attempt.upgrade(handshake)
  })
})

describe("refusalOf", () => {
  it("ends the body with a line break, and says what it is", () => {
    assert.deepStrictEqual(refusalOf(403, { "X-A": "1" }, "no"), {
      body: "no\n",
      headers: [
        ["content-type", "text/plain; charset=utf-8"],
        ["X-A", "1"]
      ]
    })
    assert.strictEqual(refusalOf(403, {}, "").body, "")
  })

  it("keeps the type of the app, and gives 304 no body", () => {
    assert.deepStrictEqual(refusalOf(304, { "Content-Type": "text/html" }, "no"), {
      body: null,
      headers: [["Content-Type", "text/html"]]
    })
  })
})

describe("headerLines", () => {
  it("has a line for each value", () => {
    assert.deepStrictEqual(headerLines({ a: "1", b: ["2", "3"], c: undefined }), [
      ["a", "1"],
      ["b", "2"],
      ["b", "3"]
    ])
  })
})

describe("asksForUpgrade", () => {
  it("looks for websocket among the tokens", () => {
    assert.isTrue(asksForUpgrade(makeRequest("http://test/", { upgrade: "h2c, WebSocket" }).request))
    const plain = makeRequest("http://test/", { upgrade: "h2c" }).request
    assert.isFalse(asksForUpgrade(plain))
    assert.isTrue(meansUpgrade(plain))
  })
})
