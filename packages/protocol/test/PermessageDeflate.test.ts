import { assert, describe, it } from "vitest"
import { ProtocolError } from "@effect-websocket/protocol/Errors"
import * as Extension from "@effect-websocket/protocol/Extension"
import * as PermessageDeflate from "@effect-websocket/protocol/PermessageDeflate"
import * as fc from "fast-check"
import * as arbitraries from "./arbitraries.js"
import { facts, remoteFacts } from "./support.js"

const parsed = (line: string): ReadonlyArray<Extension.Extension> => {
  const extensions = Extension.parse([line])
  if ("_tag" in extensions) return assert.fail(extensions.message)
  return extensions
}

const extension = (parameters: string): Extension.Extension => parsed(`permessage-deflate${parameters}`)[0]!

const illegal = [
  "; unknown",
  "; server_no_context_takeover; server_no_context_takeover",
  "; client_no_context_takeover; client_no_context_takeover",
  "; server_max_window_bits=10; server_max_window_bits=10",
  "; client_max_window_bits; client_max_window_bits=10",
  "; client_max_window_bits=10; client_max_window_bits",
  "; server_no_context_takeover=true",
  "; client_no_context_takeover=1",
  "; server_max_window_bits",
  ...["7", "16", "0", "08", "1e1", "10.0", "+10", "-9", "0xa", "ten"].flatMap((value) => [
    `; server_max_window_bits=${value}`,
    `; client_max_window_bits=${value}`,
    `; client_max_window_bits="${value}"`
  ])
]

describe("parse", () => {
  it.each([
    ["", {}],
    ["; server_no_context_takeover", { serverNoContextTakeover: true }],
    ["; client_no_context_takeover", { clientNoContextTakeover: true }],
    ["; client_max_window_bits", { clientMaxWindowBits: true }],
    ['; client_max_window_bits="8"', { clientMaxWindowBits: 8 }],
    [
      "; client_max_window_bits=9; server_max_window_bits=15; client_no_context_takeover; server_no_context_takeover",
      {
        serverNoContextTakeover: true,
        clientNoContextTakeover: true,
        serverMaxWindowBits: 15,
        clientMaxWindowBits: 9
      }
    ]
  ])("reads the offer %j", (parameters, expected) => {
    assert.deepStrictEqual(PermessageDeflate.parse(extension(parameters), "offer"), expected)
  })

  it.each(illegal)("refuses %j in an offer and in an answer", (parameters) => {
    for (const kind of ["offer", "answer"] as const) {
      assert.deepStrictEqual(
        facts(PermessageDeflate.parse(extension(parameters), kind)),
        remoteFacts("RFC 7692 §7.1"),
        kind
      )
    }
  })

  it("refuses client_max_window_bits without a value in an answer", () => {
    assert.deepStrictEqual(
      facts(PermessageDeflate.parse(extension("; client_max_window_bits"), "answer")),
      remoteFacts("RFC 7692 §7.1")
    )
  })
})

describe("offer", () => {
  const offered = (options?: PermessageDeflate.Options) =>
    Extension.format(PermessageDeflate.offer(PermessageDeflate.resolve(options)))

  it("asks for a small window, with a fallback for servers that cannot limit theirs", () => {
    assert.strictEqual(
      offered(),
      "permessage-deflate; server_max_window_bits=12; client_max_window_bits, permessage-deflate; client_max_window_bits"
    )
  })

  it("asks for what the options say", () => {
    assert.strictEqual(
      offered({ serverMaxWindowBits: 15, serverNoContextTakeover: true, clientNoContextTakeover: true }),
      "permessage-deflate; server_no_context_takeover; client_no_context_takeover; client_max_window_bits"
    )
  })

  it("offers the given parameters", () => {
    assert.strictEqual(
      offered({ offers: [{ clientMaxWindowBits: 9, serverMaxWindowBits: 8 }, { serverNoContextTakeover: false }] }),
      "permessage-deflate; server_max_window_bits=8; client_max_window_bits=9, permessage-deflate"
    )
  })
})

const direction = (windowBits: number, contextTakeover: boolean): PermessageDeflate.Direction => ({
  windowBits,
  contextTakeover
})

describe("accept", () => {
  const accepted = (line: string, options?: PermessageDeflate.Options) => {
    const agreement = PermessageDeflate.accept(parsed(line), PermessageDeflate.resolve(options))
    return agreement && { ...agreement, extension: Extension.format([agreement.extension]) }
  }

  it.each([
    [
      "permessage-deflate; client_max_window_bits",
      {},
      "permessage-deflate; client_max_window_bits=12",
      direction(12, true),
      direction(12, true)
    ],
    [
      "permessage-deflate; client_max_window_bits=9; server_max_window_bits=10",
      {},
      "permessage-deflate; server_max_window_bits=10; client_max_window_bits=9",
      direction(10, true),
      direction(9, true)
    ],
    [
      "permessage-deflate; client_max_window_bits=15; server_max_window_bits=15",
      {},
      "permessage-deflate; server_max_window_bits=12; client_max_window_bits=12",
      direction(12, true),
      direction(12, true)
    ],
    [
      "permessage-deflate; server_max_window_bits=8; client_max_window_bits=8",
      {},
      "permessage-deflate; server_max_window_bits=8; client_max_window_bits=8",
      direction(8, true),
      direction(8, true)
    ],
    // A client that cannot be told a window: no window is kept for it.
    [
      "permessage-deflate",
      {},
      "permessage-deflate; client_no_context_takeover",
      direction(12, true),
      direction(15, false)
    ],
    ["permessage-deflate", { clientMaxWindowBits: 15 }, "permessage-deflate", direction(12, true), direction(15, true)],
    [
      "permessage-deflate; server_no_context_takeover; client_no_context_takeover; client_max_window_bits",
      {},
      "permessage-deflate; server_no_context_takeover; client_no_context_takeover; client_max_window_bits=12",
      direction(12, false),
      direction(12, false)
    ],
    [
      "permessage-deflate; client_max_window_bits",
      {
        serverNoContextTakeover: true,
        clientNoContextTakeover: true,
        serverMaxWindowBits: 15,
        clientMaxWindowBits: 15
      },
      "permessage-deflate; server_no_context_takeover; client_no_context_takeover; client_max_window_bits=15",
      direction(15, false),
      direction(15, false)
    ]
  ])("answers %j with options %j", (line, options, answer, outbound, inbound) => {
    assert.deepStrictEqual(accepted(line, options), { extension: answer, outbound, inbound })
  })

  it.each(["", "permessage-bzip2", "x-webkit-deflate-frame; no_context_takeover", "Permessage-Deflate"])(
    "declines %j",
    (line) => {
      assert.isUndefined(accepted(line))
    }
  )

  it.each(illegal)("declines the offer %j and takes the next one", (parameters) => {
    const bad = `permessage-deflate${parameters}`
    assert.isUndefined(accepted(bad))
    assert.strictEqual(
      accepted(`${bad}, other, ${bad}, permessage-deflate; client_max_window_bits=11`)?.extension,
      "permessage-deflate; client_max_window_bits=11"
    )
  })

  it("accepts the first of several", () => {
    assert.strictEqual(
      accepted("permessage-deflate; server_max_window_bits=9, permessage-deflate; client_max_window_bits")?.extension,
      "permessage-deflate; client_no_context_takeover; server_max_window_bits=9"
    )
  })
})

describe("check", () => {
  const checked = (answer: string, options?: PermessageDeflate.Options) =>
    PermessageDeflate.check(parsed(answer), PermessageDeflate.resolve(options))

  const everything: PermessageDeflate.Options = {
    offers: [
      {
        serverNoContextTakeover: true,
        clientNoContextTakeover: true,
        serverMaxWindowBits: 10,
        clientMaxWindowBits: 11
      }
    ]
  }

  it("finds that the server declined", () => {
    assert.isUndefined(checked(""))
    assert.isUndefined(checked("other"))
  })

  it.each([
    ["; server_max_window_bits=12", {}, direction(12, true), direction(12, true)],
    ["; server_max_window_bits=8; client_max_window_bits=8", {}, direction(8, true), direction(8, true)],
    ["; client_max_window_bits=15", {}, direction(12, true), direction(15, true)],
    ["", {}, direction(12, true), direction(15, true)],
    // Both without having been asked for (§7.1.1).
    ["; server_no_context_takeover; client_no_context_takeover", {}, direction(12, false), direction(15, false)],
    // A window of the server's that nobody asked for (§7.1.2.1).
    ["; server_max_window_bits=9", { serverMaxWindowBits: 15 }, direction(12, true), direction(9, true)],
    // What the client has promised it keeps, whether or not the answer repeats it.
    ["; server_no_context_takeover; server_max_window_bits=10", everything, direction(11, false), direction(10, false)],
    [
      "; server_no_context_takeover; server_max_window_bits=9; client_no_context_takeover; client_max_window_bits=9",
      everything,
      direction(9, false),
      direction(9, false)
    ]
  ])("accepts the answer %j to %j", (parameters, options, outbound, inbound) => {
    assert.deepStrictEqual(checked(`permessage-deflate${parameters}`, options), {
      extension: extension(parameters),
      outbound,
      inbound
    })
  })

  it("keeps the promises of all offers that may have been accepted", () => {
    const agreement = checked("permessage-deflate", {
      clientMaxWindowBits: 15,
      offers: [{ clientMaxWindowBits: 13 }, { clientNoContextTakeover: true }, { clientMaxWindowBits: 10 }]
    })
    assert.deepStrictEqual(agreement && "outbound" in agreement ? agreement.outbound : agreement, direction(10, false))
  })

  it.each([
    ...illegal.map((parameters) => [parameters, {}] as const),
    ["; client_max_window_bits", {}],
    ["; server_max_window_bits=13", { offers: [{ serverMaxWindowBits: 12 }] }],
    ["", { offers: [{ serverMaxWindowBits: 12 }] }],
    ["", { serverNoContextTakeover: true }],
    ["; client_max_window_bits=12", { offers: [{}] }],
    ["; client_max_window_bits=12", { offers: [{ clientMaxWindowBits: 11 }] }]
  ] as ReadonlyArray<readonly [string, PermessageDeflate.Options]>)(
    "refuses the answer %j to %j",
    (parameters, options) => {
      assert.deepStrictEqual(facts(checked(`permessage-deflate${parameters}`, options)), remoteFacts("RFC 7692 §7.1"))
    }
  )

  it("refuses two answers", () => {
    assert.deepStrictEqual(facts(checked("permessage-deflate, permessage-deflate")), remoteFacts("RFC 7692 §5"))
  })
})

describe("resolve", () => {
  it.each([
    { serverMaxWindowBits: 7 },
    { serverMaxWindowBits: 16 },
    { clientMaxWindowBits: 8.5 },
    { clientMaxWindowBits: Number.NaN },
    { offers: [] },
    { offers: [{ serverMaxWindowBits: 7 }] },
    { offers: [{ clientMaxWindowBits: 16 }] },
    { threshold: -1 },
    { level: 0 },
    { level: 10 },
    { memLevel: 0 },
    { memLevel: 10 },
    { maxRatio: 0.5 },
    { maxRatio: Number.NaN }
  ])("throws for %j", (options) => {
    assert.throws(() => PermessageDeflate.resolve(options), RangeError)
  })
})

const bits = fc.integer({ min: 8, max: 15 })
const options: fc.Arbitrary<PermessageDeflate.Options> = fc.record({
  serverMaxWindowBits: fc.option(bits, { nil: undefined }),
  clientMaxWindowBits: fc.option(bits, { nil: undefined }),
  serverNoContextTakeover: fc.boolean(),
  clientNoContextTakeover: fc.boolean(),
  offers: fc.option(
    fc.array(
      fc.record({
        serverNoContextTakeover: fc.boolean(),
        clientNoContextTakeover: fc.boolean(),
        serverMaxWindowBits: fc.option(bits, { nil: undefined }),
        clientMaxWindowBits: fc.option(fc.oneof(bits, fc.constant(true as const)), { nil: undefined })
      }),
      { minLength: 1, maxLength: 3 }
    ),
    { nil: undefined }
  )
})

describe("both sides", () => {
  it("agree, and neither refers back further than the other one keeps", () => {
    fc.assert(
      fc.property(options, options, (ours, theirs) => {
        const client = PermessageDeflate.resolve(ours)
        const answered = PermessageDeflate.accept(PermessageDeflate.offer(client), PermessageDeflate.resolve(theirs))
        if (answered === undefined) return assert.fail("declined")
        const agreed = PermessageDeflate.check([answered.extension], client)
        if (agreed === undefined || agreed instanceof ProtocolError) return assert.fail(String(agreed))
        for (const [sender, receiver] of [
          [answered.outbound, agreed.inbound],
          [agreed.outbound, answered.inbound]
        ] as const) {
          assert.isAtMost(sender.windowBits, receiver.windowBits)
          assert.isTrue(receiver.contextTakeover || !sender.contextTakeover)
        }
        // What a server keeps is never more than its options allow.
        const { clientMaxWindowBits } = PermessageDeflate.resolve(theirs)
        assert.isTrue(!answered.inbound.contextTakeover || answered.inbound.windowBits <= clientMaxWindowBits)
      })
    )
  })

  it("accept any list of extensions without throwing", () => {
    const names = [
      "permessage-deflate",
      "server_max_window_bits",
      "client_max_window_bits",
      "client_no_context_takeover"
    ]
    const word = fc.oneof(fc.constantFrom(...names), arbitraries.token)
    const value = fc.oneof(fc.constantFrom("8", "9", "15", "16"), arbitraries.token, fc.constant(true as const))
    const extensions = fc.array(
      fc.record({ name: word, parameters: fc.array(fc.tuple(word, value), { maxLength: 4 }) }),
      { maxLength: 4 }
    )
    fc.assert(
      fc.property(extensions, options, (list, ours) => {
        const settings = PermessageDeflate.resolve(ours)
        PermessageDeflate.accept(list, settings)
        PermessageDeflate.check(list, settings)
      })
    )
  })
})
