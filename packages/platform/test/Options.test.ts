import * as Connection from "@effect-websocket/protocol/Connection"
import * as PermessageDeflate from "@effect-websocket/protocol/PermessageDeflate"
import { assert, describe, it } from "@effect/vitest"
import * as Duration from "effect/Duration"
import { readFileSync } from "node:fs"
import { defaults } from "../src/internal/settings.js"

const textOf = (path: string): string => readFileSync(new URL(path, import.meta.url), "utf8")

/** What the docstring of each option names as its default, by interface. */
const documented = (text: string): Map<string, Map<string, string>> =>
  new Map(
    [...text.matchAll(/^export interface (\w+).*?^\}$/gms)].map(([whole, name = ""]) => [
      name,
      new Map(
        [...whole.matchAll(/\/\*\*((?:(?!\*\/).)*)\*\/\s*readonly (\w+)\??:/gs)].map(
          ([, comment = "", option = ""]) => [
            option,
            /Default: (.*?)\.(?=\s|$)/.exec(comment.replaceAll(/\s*\*?\s+/g, " ").trim())?.[1] ?? ""
          ]
        )
      )
    ])
  )

const scales: Readonly<Record<string, number>> = {
  KiB: 1024,
  MiB: 1024 * 1024,
  seconds: 1000,
  minutes: 60_000
}

/** The number, text or boolean that a default begins with: bytes, milliseconds or a count. */
const valueOf = (text: string): unknown => {
  const [, digits, unit = ""] = /^(\d[\d,]*)(?: (KiB|MiB|seconds|minutes))?/.exec(text) ?? []
  if (digits !== undefined) return Number(digits.replaceAll(",", "")) * (scales[unit] ?? 1)
  const [, literal] = /^`("[\w-]+"|true|false)`/.exec(text) ?? []
  return literal === undefined ? undefined : JSON.parse(literal)
}

const plain = (value: unknown): unknown => (Duration.isDuration(value) ? Duration.toMillis(value) : value)

/** The documented defaults that are values, as `interface.option`. */
const valuesOf = (text: string, interfaces: ReadonlyArray<string>): Record<string, unknown> => {
  const all = documented(text)
  const found: Record<string, unknown> = {}
  for (const name of interfaces) {
    for (const [option, byDefault] of all.get(name) ?? assert.fail(`${name} is not there`)) {
      const value = valueOf(byDefault)
      if (value !== undefined) found[`${name}.${option}`] = value
    }
  }
  return found
}

describe("the docstrings of the options", () => {
  it("name the defaults of the table, and no others", () => {
    const expected: Readonly<Record<string, unknown>> = {
      "ConnectionOptions.sendHighWaterMark": defaults.sendHighWaterMark,
      "ConnectionOptions.sendLowWaterMark": defaults.sendLowWaterMark,
      "ConnectionOptions.sendStrategy": defaults.sendStrategy,
      "ConnectionOptions.receiveHighWaterMark": defaults.receiveHighWaterMark,
      "ConnectionOptions.closeTimeout": defaults.closeTimeout,
      "ConnectionOptions.compression": defaults.compression,
      "ConnectionOptions.heartbeatInterval": defaults.heartbeatInterval,
      "ConnectionOptions.heartbeatTimeout": defaults.heartbeatTimeout,
      "ConnectionOptions.limits": Connection.defaultLimits.maxMessageBytes,
      "ReceiveRate.strategy": defaults.receiveRateStrategy,
      "ClientOptions.openTimeout": defaults.openTimeout,
      "ClientOptions.maxRedirects": defaults.maxRedirects,
      "ServerOptions.firstMessageCloseCode": defaults.firstMessageCloseCode,
      "ServerOptions.handshakeTimeout": defaults.handshakeTimeout,
      "ServerOptions.admission": defaults.maxHandshakes,
      "ServerOptions.retryAfter": defaults.retryAfter,
      "AdmissionOptions.maxHandshakes": defaults.maxHandshakes,
      "DrainOptions.code": defaults.drainCode,
      "DrainOptions.window": defaults.drainWindow,
      "DrainOptions.timeout": defaults.drainTimeout
    }
    const actual = valuesOf(textOf("../src/Options.ts"), [
      "ConnectionOptions",
      "ReceiveRate",
      "ClientOptions",
      "ServerOptions",
      "AdmissionOptions",
      "DrainOptions"
    ])
    assert.deepStrictEqual(
      actual,
      Object.fromEntries(Object.entries(expected).map(([name, value]) => [name, plain(value)]))
    )
  })

  it("name those of a client that reconnects", () => {
    assert.deepStrictEqual(valuesOf(textOf("../src/internal/makeReconnecting.ts"), ["ReconnectingOptions"]), {
      "ReconnectingOptions.maxRetryAfter": plain(defaults.maxRetryAfter),
      "ReconnectingOptions.stableAfter": plain(defaults.stableAfter),
      "ReconnectingOptions.outboxCapacity": defaults.outboxCapacity,
      "ReconnectingOptions.outboxStrategy": defaults.outboxStrategy
    })
  })

  it("name those of limits and compression", () => {
    const { maxBufferedControlFrames, maxFragments, maxMessageBytes } = Connection.defaultLimits
    assert.deepStrictEqual(valuesOf(textOf("../../protocol/src/Limits.ts"), ["Limits"]), {
      "Limits.maxMessageBytes": maxMessageBytes,
      "Limits.maxFragments": maxFragments,
      "Limits.maxBufferedControlFrames": maxBufferedControlFrames
    })
    const { clientMaxWindowBits, level, memLevel, serverMaxWindowBits, threshold, ...others } =
      PermessageDeflate.resolve()
    assert.deepStrictEqual(valuesOf(textOf("../../protocol/src/PermessageDeflate.ts"), ["Options"]), {
      "Options.serverMaxWindowBits": serverMaxWindowBits,
      "Options.clientMaxWindowBits": clientMaxWindowBits,
      "Options.serverNoContextTakeover": others.serverNoContextTakeover,
      "Options.clientNoContextTakeover": others.clientNoContextTakeover,
      "Options.threshold": threshold,
      "Options.level": level,
      "Options.memLevel": memLevel
    })
  })

  it("name a default for every option that is not required", () => {
    for (const name of ["ConnectionOptions", "ClientOptions", "RequestOptions", "ServerOptions", "DrainOptions"]) {
      for (const [option, byDefault] of documented(textOf("../src/Options.ts")).get(name) ?? []) {
        assert.notStrictEqual(byDefault, "", `${name}.${option}`)
      }
    }
  })
})
