import type { Options } from "@effect-websocket/platform/WebSocket"
import { NodeZlib } from "@effect-websocket/platform/node"
import * as PermessageDeflate from "@effect-websocket/protocol/PermessageDeflate"
import { Duration, Effect, Exit } from "../effect/index.js"
import { assert, describe, it } from "../effect/vitest.js"
import { configError } from "../../src/internal/effect.js"
import { delay, fromConfig, resolve, resolveClient, timeout } from "../../src/internal/settings.js"

const defaults = {
  limits: {
    maxMessageBytes: 1024 * 1024,
    maxFrameBytes: Number.MAX_SAFE_INTEGER,
    maxFragments: 1024,
    maxBufferedControlFrames: 32
  },
  maxFrameSize: undefined,
  maxSendBytes: undefined,
  sendMarks: { high: 65_536, low: 16_384 },
  sendStrategy: "suspend" as const,
  receiveHighWaterMark: 65_536,
  closeTimeout: 5000,
  heartbeatInterval: 25_000,
  heartbeatTimeout: 20_000,
  idleTimeout: Infinity,
  messageTimeout: Infinity,
  writeTimeout: Infinity,
  maxLifetime: Infinity,
  receiveRate: undefined,
  compression: undefined,
  budget: undefined,
  random: undefined,
  observer: undefined
}

describe("resolve", () => {
  it("compresses if an option asks for it and there is a zlib", () => {
    const { zlib } = NodeZlib
    assert.isUndefined(resolve({ compression: true }).compression)
    assert.isUndefined(resolve({}, zlib).compression)
    assert.isUndefined(resolve({ compression: false }, zlib).compression)
    assert.deepStrictEqual(resolve({ compression: true }, zlib).compression, {
      zlib,
      settings: PermessageDeflate.resolve()
    })
    const options = { threshold: 10, serverMaxWindowBits: 9 }
    assert.deepStrictEqual(resolve({ compression: options }, zlib).compression, {
      zlib,
      settings: PermessageDeflate.resolve(options)
    })
  })

  it("refuses options of compression that make no sense, even without a zlib", () => {
    assert.throws(() => resolve({ compression: { level: 10 } }), RangeError, "level")
  })

  it("takes a source of randomness, and replaces it if it throws", () => {
    const source = {
      getRandomValues: (bytes: Uint8Array) => {
        if (bytes.length > 1) throw new Error("no more")
        bytes.fill(7)
      }
    }
    const { random } = resolve({ random: source })
    const [one, many] = [new Uint8Array(1), new Uint8Array(32)]
    random?.getRandomValues(one)
    random?.getRandomValues(many)
    assert.deepStrictEqual(one, Uint8Array.of(7))
    assert.isTrue(many.some((byte) => byte !== 0))
    assert.throws(() => resolve({ random: {} as never }), RangeError, "random must")
    assert.throws(() => resolve({ random: (() => 1) as never }), RangeError, "random must")
  })

  it("fills in the documented defaults", () => {
    assert.deepStrictEqual(resolve(), defaults)
    assert.deepStrictEqual(resolve({}), defaults)
    assert.deepStrictEqual(
      resolve({
        limits: undefined,
        maxFrameSize: undefined,
        maxSendBytes: undefined,
        sendHighWaterMark: undefined,
        sendLowWaterMark: undefined,
        receiveHighWaterMark: undefined,
        closeTimeout: undefined,
        sendStrategy: undefined,
        heartbeatInterval: undefined,
        heartbeatTimeout: undefined,
        idleTimeout: undefined,
        messageTimeout: undefined,
        writeTimeout: undefined,
        maxLifetime: undefined,
        receiveRate: undefined,
        compression: undefined,
        budget: undefined,
        random: undefined
      }),
      defaults
    )
  })

  for (const [options, expected] of [
    [{ limits: { maxFragments: 7 } }, { limits: { ...defaults.limits, maxFragments: 7 } }],
    [{ maxFrameSize: 1000 }, { maxFrameSize: 1000 }],
    [{ maxSendBytes: 1000 }, { maxSendBytes: 1000 }],
    [{ sendHighWaterMark: 100_000 }, { sendMarks: { high: 100_000, low: 16_384 } }],
    // The default of the lower one is never above the higher one.
    [{ sendHighWaterMark: 100 }, { sendMarks: { high: 100, low: 100 } }],
    [{ sendLowWaterMark: 1 }, { sendMarks: { high: 65_536, low: 1 } }],
    [{ receiveHighWaterMark: 1 }, { receiveHighWaterMark: 1 }],
    [{ closeTimeout: "2 seconds" }, { closeTimeout: 2000 }],
    [{ closeTimeout: 1 }, { closeTimeout: 1 }],
    [{ sendStrategy: "sliding" }, { sendStrategy: "sliding" as const }],
    [{ sendStrategy: "dropping" }, { sendStrategy: "dropping" as const }],
    [{ heartbeatInterval: Duration.infinity }, { heartbeatInterval: Infinity }],
    [
      { heartbeatInterval: "1 seconds", heartbeatTimeout: 1 },
      { heartbeatInterval: 1000, heartbeatTimeout: 1 }
    ],
    [
      { idleTimeout: "1 minutes", messageTimeout: "2 seconds", writeTimeout: 3, maxLifetime: "1 days" },
      { idleTimeout: 60_000, messageTimeout: 2000, writeTimeout: 3, maxLifetime: 86_400_000 }
    ]
  ] satisfies ReadonlyArray<readonly [Options, object]>) {
    it(`takes ${JSON.stringify(options)}`, () => {
      assert.deepStrictEqual(resolve(options), { ...defaults, ...expected })
    })
  }

  for (const name of [
    "maxFrameSize",
    "maxSendBytes",
    "sendHighWaterMark",
    "sendLowWaterMark",
    "receiveHighWaterMark"
  ] as const) {
    for (const value of [0, -1, 1.5, NaN, Infinity, Number.MAX_SAFE_INTEGER + 1]) {
      it(`refuses a ${name} of ${value}`, () => {
        assert.throws(() => resolve({ [name]: value }), RangeError, name)
      })
    }
  }

  for (const name of [
    "closeTimeout",
    "heartbeatInterval",
    "heartbeatTimeout",
    "idleTimeout",
    "messageTimeout",
    "writeTimeout",
    "maxLifetime"
  ] as const) {
    it(`refuses a ${name} of zero, and anything but a duration`, () => {
      for (const [value, text] of [
        [0, "0"],
        [-1, "-1"],
        [NaN, "NaN"],
        [-Infinity, "-Infinity"],
        [0n, "0"],
        [-1n, "-1"],
        ["10 secs", '"10 secs"'],
        ["-1 seconds", '"-1 seconds"'],
        [[1, -2], "1,-2"],
        [Duration.zero, "0"],
        [{}, "[object Object]"]
      ] as const) {
        const options = { [name]: value } as unknown as Options
        const message = `${name} must be a duration above zero, but is ${text}`
        assert.throws(() => resolve(options), RangeError, message)
      }
    })
  }

  it("refuses an unknown strategy", () => {
    const options = { sendStrategy: "newest" } as unknown as Options
    assert.throws(() => resolve(options), RangeError, "sendStrategy")
  })

  it("refuses infinite waits for a peer", () => {
    for (const name of ["closeTimeout", "heartbeatTimeout"] as const) {
      assert.throws(() => resolve({ [name]: Infinity }), RangeError, name)
    }
  })

  for (const name of ["maxMessageBytes", "maxFrameBytes", "maxFragments", "maxBufferedControlFrames"] as const) {
    for (const value of [0, -1, 1.5, NaN, Infinity]) {
      it(`refuses limits with a ${name} of ${value}`, () => {
        assert.throws(() => resolve({ limits: { [name]: value } }), RangeError, name)
      })
    }
  }

  it("names limits and options of compression by their path", () => {
    assert.throws(() => resolve({ limits: { maxFragments: 0 } }), RangeError, /^limits\.maxFragments must be/)
    assert.throws(() => resolve({ compression: { maxRatio: NaN } }), RangeError, /^compression\.maxRatio must be/)
    assert.throws(() => resolve({ compression: { offers: [] } }), RangeError, /^compression\.offers must not/)
  })

  it("refuses rates that limit nothing", () => {
    assert.throws(() => resolve({ receiveRate: { interval: "1 seconds" } }), RangeError, /^receiveRate must have/)
    assert.throws(
      () => resolve({ receiveRate: { messages: 1, interval: 0 } }),
      RangeError,
      /^receiveRate\.interval must/
    )
  })

  it("refuses a low-water mark above the high one", () => {
    assert.throws(() => resolve({ sendHighWaterMark: 10, sendLowWaterMark: 11 }), RangeError, "(10), but is 11")
    assert.throws(() => resolve({ sendLowWaterMark: 65_537 }), RangeError, "(65536), but is 65537")
    resolve({ sendHighWaterMark: 10, sendLowWaterMark: 10 })
  })
})

describe("resolveClient", () => {
  const client = {
    limits: { maxMessageBytes: 10, maxFragments: 20 },
    maxFrameSize: 30,
    closeTimeout: "1 second",
    openTimeout: "2 seconds",
    maxRedirects: 3
  } as const
  const expected = {
    ...defaults,
    limits: { ...defaults.limits, ...client.limits },
    maxFrameSize: 30,
    closeTimeout: 1000,
    openTimeout: 2000,
    maxRedirects: 3
  }
  const plainly = (...options: Parameters<typeof resolveClient>) => {
    const { closeTimeout, openTimeout, ...rest } = resolveClient(...options)
    return { ...rest, closeTimeout: Duration.toMillis(closeTimeout), openTimeout: Duration.toMillis(openTimeout) }
  }

  it("has the documented defaults", () => {
    assert.deepStrictEqual(plainly(), { ...defaults, openTimeout: 10_000, maxRedirects: 0 })
  })

  it("takes the client's options, unless a connection has its own, limit by limit", () => {
    assert.deepStrictEqual(plainly(client), expected)
    assert.deepStrictEqual(
      plainly(client, { limits: { maxFragments: 21 }, openTimeout: "3 seconds", receiveHighWaterMark: 4 }),
      {
        ...expected,
        limits: { ...expected.limits, maxFragments: 21 },
        openTimeout: 3000,
        receiveHighWaterMark: 4
      }
    )
  })

  it("takes undefined for an option that is not given", () => {
    const nothing = { limits: undefined, maxFrameSize: undefined, closeTimeout: undefined, openTimeout: undefined }
    assert.deepStrictEqual(plainly(client, nothing), expected)
    assert.deepStrictEqual(plainly(nothing, client), expected)
  })

  it("hands on the nearest source of randomness", () => {
    const filled = (options: Parameters<typeof resolveClient>) => {
      const bytes = new Uint8Array(4)
      resolveClient(...options).random?.getRandomValues(bytes)
      return [...bytes]
    }
    const source = (value: number) => ({ getRandomValues: (bytes: Uint8Array) => bytes.fill(value) })
    assert.deepStrictEqual(filled([{ random: source(1) }, { random: source(2) }]), [2, 2, 2, 2])
    assert.deepStrictEqual(filled([{ random: source(1) }]), [1, 1, 1, 1])
  })

  it("refuses options that make no sense together", () => {
    assert.throws(
      () => resolveClient({ sendLowWaterMark: 100 }, { sendHighWaterMark: 10 }),
      RangeError,
      "sendLowWaterMark"
    )
    assert.throws(() => resolveClient({ openTimeout: 0 }), RangeError, "openTimeout")
  })
})

describe("fromConfig", () => {
  it.effect("fails with the path of the option, and leaves other defects", () =>
    Effect.gen(function* () {
      for (const [message, path] of [
        ["closeTimeout must be a duration above zero, but is 0", ["closeTimeout"]],
        ["drain.reason must have at most 123 bytes", ["drain", "reason"]],
        ["tls cannot be used: no start line", ["tls"]],
        ["Only one of socketPath and proxy can be the route", []]
      ] as const) {
        const error = yield* Effect.flip(fromConfig(Effect.die(new RangeError(message))))
        assert.deepStrictEqual(error, configError([...path], message))
      }
      const defect = new TypeError("closeTimeout must be")
      assert.deepStrictEqual(yield* Effect.exit(fromConfig(Effect.die(defect))), Exit.die(defect))
    })
  )
})

describe("delay", () => {
  it("is finite and from zero on", () => {
    for (const input of [-1, NaN, Infinity, "-1 seconds", "soon", Duration.infinity] as const) {
      assert.throws(() => delay("window", input as Duration.Input), RangeError, /^window must be a finite/)
    }
    for (const [input, millis] of [
      [0, 0],
      ["1 seconds", 1000],
      [1_000_000n, 1],
      [[1, 500_000], 1000.5]
    ] as const) {
      assert.strictEqual(delay("window", input as Duration.Input), millis)
    }
  })
})

describe("timeout", () => {
  it("is finite and above zero", () => {
    for (const input of [0, -1, Infinity, "0 seconds", Duration.infinity] as const) {
      assert.throws(() => timeout("closeTimeout", input), RangeError, "closeTimeout")
    }
    assert.strictEqual(Duration.toMillis(timeout("x", "1 minute")), 60_000)
  })
})
