import { assert, describe, it } from "vitest"
import * as fc from "fast-check"
import { concat, utf8 } from "./support.js"
import {
  borrowed,
  conformance,
  continuation,
  echo,
  endpoint,
  fromLatin1,
  latin1,
  plainError,
  roles,
  sentTo,
  show,
  text,
  unfinished,
  violated,
  type Case,
  type Role
} from "./endpoints.js"

const invalid = violated(1007, "8.1", "A text message is not UTF-8")
const greeting = "Hello-µ@ßöäüàá-UTF-8!!"
const kosme = "\xce\xba\xe1\xbd\xb9\xcf\x83\xce\xbc\xce\xb5"
const surrogate = `${kosme}\xed\xa0\x80edited`

/** A message of fragments, each given in Latin-1. */
const fragmented = (...parts: ReadonlyArray<string>) =>
  parts.map((part, i) => (i === 0 ? text : continuation)(fromLatin1(part), i === parts.length - 1 ? {} : unfinished))

conformance("UTF-8", [
  { name: "6.1.1 empty text", input: [text()], output: [text()] },
  { name: "6.1.2 three empty fragments", input: fragmented("", "", ""), output: [text()] },
  { name: "6.1.3 empty, not empty, empty", input: fragmented("", "middle", ""), output: [text("middle")] },
  { name: "6.2.1 one frame", input: [text(greeting)], output: [text(greeting)] },
  {
    name: "6.2.2 two fragments, cut between characters",
    input: fragmented(...[greeting.slice(0, 9), greeting.slice(9)].map((part) => latin1(utf8(part)))),
    output: [text(greeting)]
  },
  { name: "6.2.3 octets as fragments", input: fragmented(...latin1(utf8(greeting))), output: [text(greeting)] },
  { name: "6.2.4 octets as fragments", input: fragmented(...kosme), output: fragmented(kosme) },
  { name: "6.3.1 invalid", input: fragmented(surrogate), output: [], end: invalid },
  { name: "6.3.2 invalid, octets as fragments", input: fragmented(...surrogate), output: [], end: invalid },
  {
    name: "6.4.1 a broken fragment, no end",
    input: fragmented(kosme, "\xf4\x90\x80\x80", "edited").slice(0, 2),
    output: [],
    end: invalid
  },
  {
    name: "6.4.2 broken by the second octet of a character that was cut",
    input: fragmented(`${kosme}\xf4`, "\x90", "\x80\x80edited").slice(0, 2),
    output: [],
    end: invalid
  },
  { name: "incomplete in the last fragment", input: fragmented("\xce", "\xba\xe1", ""), output: [], end: invalid },
  { name: "a byte order mark stays", input: [text("\ufeffx")], output: [text("\ufeffx")] },
  { name: "the replacement character is valid", input: [text("\ufffd")], output: [text("\ufffd")] }
])

// After M. Kuhn's list of sequences, whose sections the numbers follow. Latin-1 stands for octets.
const valid: ReadonlyArray<readonly [name: string, octets: string]> = [
  ["6.5 text", kosme],
  ["6.7 first of 1 octet", "\x00"],
  ["6.7 first of 2 octets", "\xc2\x80"],
  ["6.7 first of 3 octets", "\xe0\xa0\x80"],
  ["6.7 first of 4 octets", "\xf0\x90\x80\x80"],
  ["6.9 last of 1 octet", "\x7f"],
  ["6.9 last of 2 octets", "\xdf\xbf"],
  ["6.9 last of 3 octets, U+FFFF", "\xef\xbf\xbf"],
  ["6.9 last, U+10FFFF", "\xf4\x8f\xbf\xbf"],
  ["6.11 U+D7FF", "\xed\x9f\xbf"],
  ["6.11 U+E000", "\xee\x80\x80"],
  ["6.11 U+FFFD", "\xef\xbf\xbd"],
  ["6.22 U+FFFE", "\xef\xbf\xbe"],
  ["6.22 U+1FFFF", "\xf0\x9f\xbf\xbf"],
  ["6.22 U+3FFFE", "\xf0\xbf\xbf\xbe"],
  ["6.22 U+FFFFF", "\xf3\xbf\xbf\xbf"],
  ["6.23 replacement, then 4 octets", "\xef\xbf\xbd\xf0\x9f\x98\x80"]
]

/** `breaksAt` is the octet after which nothing can make the sequence valid; none where it is only incomplete. */
const broken: ReadonlyArray<readonly [name: string, octets: string, breaksAt: number | undefined]> = [
  ["6.6 incomplete 2 octets", "\xce", undefined],
  ["6.6 incomplete 3 octets", "\xe1\xbd", undefined],
  ["6.6 incomplete 4 octets", "\xf0\x90\x80", undefined],
  ["6.8 first of 5 octets", "\xf8\x88\x80\x80\x80", 0],
  ["6.8 first of 6 octets", "\xfc\x84\x80\x80\x80\x80", 0],
  ["6.10 last of 4 octets", "\xf7\xbf\xbf\xbf", 0],
  ["6.10 last of 6 octets", "\xfd\xbf\xbf\xbf\xbf\xbf", 0],
  ["6.11 U+110000", "\xf4\x90\x80\x80", 1],
  ["6.11 above F4", "\xf5\x80\x80\x80", 0],
  ["6.12 lone continuation 80", "\x80", 0],
  ["6.12 lone continuation BF", "\xbf", 0],
  ["6.12 one continuation too many", "\xc2\x80\xbf", 2],
  ["6.13 lonely start of 2", "\xc3 ", 1],
  ["6.13 lonely start of 3", "\xe3 ", 1],
  ["6.13 lonely start of 4", "\xf3 ", 1],
  ["6.14 last continuation missing of 3", "\xe1\x80 ", 2],
  ["6.14 last continuation missing of 4", "\xf1\x80\x80 ", 3],
  ["6.15 incomplete sequences, concatenated", "\xc3\xe3\x80\xf3\x80\x80", 1],
  ["6.16 FE", "\xfe", 0],
  ["6.16 FF", "\xff", 0],
  ["6.17 overlong slash, 2 octets", "\xc0\xaf", 0],
  ["6.17 overlong slash, 3 octets", "\xe0\x80\xaf", 1],
  ["6.17 overlong slash, 4 octets", "\xf0\x80\x80\xaf", 1],
  ["6.18 overlong U+007F", "\xc1\xbf", 0],
  ["6.18 overlong U+07FF", "\xe0\x9f\xbf", 1],
  ["6.18 overlong U+FFFF", "\xf0\x8f\xbf\xbf", 1],
  ["6.19 overlong NUL", "\xc0\x80", 0],
  ["6.20 first surrogate", "\xed\xa0\x80", 1],
  ["6.20 last surrogate", "\xed\xbf\xbf", 1],
  ["6.21 surrogate pair", "\xed\xa0\x81\xed\xb0\x80", 1]
]

/** Every way to cut a string in two. */
const cuts = (octets: string) =>
  Array.from({ length: octets.length + 1 }, (_, i) => [octets.slice(0, i), octets.slice(i)] as const)

conformance(
  "valid sequences",
  valid.flatMap(([name, octets]): ReadonlyArray<Case> => [
    { name, input: fragmented(octets), output: fragmented(octets) },
    {
      name: `${name}, fragmented everywhere`,
      input: cuts(`a${octets}\xe2\x82\xac`).flatMap((parts) => fragmented(...parts)),
      output: cuts(`a${octets}\xe2\x82\xac`).map((parts) => text(fromLatin1(parts.join(""))))
    },
    { name: `${name}, octets as fragments`, input: fragmented("", ...octets, ""), output: fragmented(octets) }
  ])
)

const everywhere = (octets: string) =>
  ["", "a", "€", "ab😀", "x".repeat(50)].map((prefix) => latin1(utf8(prefix)) + octets)

conformance(
  "invalid sequences",
  broken.flatMap(([name, octets]) =>
    everywhere(octets).flatMap((message, i): ReadonlyArray<Case> => [
      {
        name: `${name} (${i})`,
        input: [text("valid"), ...fragmented(message)],
        output: [text("valid")],
        end: invalid
      },
      { name: `${name} (${i}), octets as fragments`, input: fragmented(...message, ""), output: [], end: invalid }
    ])
  )
)

describe("6.4 UTF-8 fails within the chunk that breaks it", () => {
  /** The number of octets of a message of `size` after which the connection ends. */
  const failsAfter = (role: Role, message: Uint8Array, size: number): number | undefined => {
    const connection = endpoint(role)
    const bytes = sentTo(role, text(concat([message, new Uint8Array(size - message.length)])))
    const start = bytes.length - size
    for (let i = 0; i < start + message.length; i++) {
      const events = connection.receive(bytes.slice(i, i + 1))
      const [event] = events
      if (event === undefined) continue
      assert.lengthOf(events, 1)
      if (event._tag !== "Ended") return assert.fail(event._tag)
      assert.deepStrictEqual(plainError(event.error), invalid.error)
      return i + 1 - start
    }
    return undefined
  }

  for (const role of roles) {
    describe(`as ${role}`, () => {
      for (const [name, octets, breaksAt] of broken) {
        it(name, () => {
          for (const message of everywhere(octets).map(fromLatin1)) {
            const prefix = message.length - octets.length
            // The frame has more to come, so what is only incomplete stays unjudged.
            const expected = breaksAt === undefined ? undefined : prefix + breaksAt + 1
            assert.strictEqual(failsAfter(role, message, 200), expected)
          }
        })
      }

      // The second part comes alone, in a chunk or a frame that does not end the message.
      const split: ReadonlyArray<readonly [name: string, parts: ReadonlyArray<string>]> = [
        ["6.4.1, 6.4.3", [kosme, "\xf4\x90\x80\x80"]],
        ["6.4.2, 6.4.4", [`${kosme}\xf4`, "\x90"]]
      ]
      for (const [name, parts] of split) {
        it(`${name} in fragments`, () => {
          const [first, second] = fragmented(...parts, "edited").map((frame) => sentTo(role, frame))
          const connection = endpoint(role)
          assert.deepStrictEqual(connection.receive(first!), [])
          assert.strictEqual(connection.receive(second!)[0]?._tag, "Ended")
          assert.strictEqual(connection.closeStatus.sent?.code, 1007)
        })

        it(`${name} in chunks of one frame`, () => {
          const [first = ""] = parts
          const message = `${parts.join("")}edited`
          const bytes = sentTo(role, text(fromLatin1(message)))
          const cut = bytes.length - message.length + first.length
          const connection = endpoint(role)
          assert.deepStrictEqual(connection.receive(bytes.slice(0, cut)), [])
          assert.strictEqual(connection.receive(bytes.slice(cut, -6))[0]?._tag, "Ended")
          assert.strictEqual(connection.closeStatus.sent?.code, 1007)
        })
      }
    })
  }

  // RFC 3629 §4, the grammar itself.
  const tail = [0x80, 0xbf] as const
  const grammar: ReadonlyArray<ReadonlyArray<readonly [number, number]>> = [
    [[0x00, 0x7f]],
    [[0xc2, 0xdf], tail],
    [[0xe0, 0xe0], [0xa0, 0xbf], tail],
    [[0xe1, 0xec], tail, tail],
    [[0xed, 0xed], [0x80, 0x9f], tail],
    [[0xee, 0xef], tail, tail],
    [[0xf0, 0xf0], [0x90, 0xbf], tail, tail],
    [[0xf1, 0xf3], tail, tail, tail],
    [[0xf4, 0xf4], [0x80, 0x8f], tail, tail]
  ]

  /** After how many octets no rule of the grammar fits any more, and whether the octets end with a character. */
  const judge = (bytes: ReadonlyArray<number>): { readonly breaks: number | undefined; readonly whole: boolean } => {
    let rules = grammar
    let depth = 0
    for (const [i, byte] of bytes.entries()) {
      rules = rules.filter((rule) => byte >= rule[depth]![0] && byte <= rule[depth]![1])
      depth++
      const [rule] = rules
      if (rule === undefined) return { breaks: i + 1, whole: false }
      if (rule.length === depth) {
        rules = grammar
        depth = 0
      }
    }
    return { breaks: undefined, whole: depth === 0 }
  }

  const edges = [
    0x00, 0x41, 0x7f, 0x80, 0x8f, 0x90, 0x9f, 0xa0, 0xbf, 0xc0, 0xc1, 0xc2, 0xdf, 0xe0, 0xe1, 0xec, 0xed, 0xee, 0xef,
    0xf0, 0xf1, 0xf3, 0xf4, 0xf5, 0xff
  ]
  const bounds = fc.constantFrom(...edges)
  const character = fc
    .oneof(fc.integer({ min: 0, max: 0xd7ff }), fc.integer({ min: 0xe000, max: 0x10ffff }))
    .map((code) => [...utf8(String.fromCodePoint(code))])
  const octets = fc
    .array(
      fc.oneof({ weight: 3, arbitrary: character }, { weight: 1, arbitrary: fc.array(bounds, { maxLength: 4 }) }),
      {
        maxLength: 20
      }
    )
    .map((parts) => parts.flat())

  it("agrees with the grammar of RFC 3629, octet by octet", () => {
    fc.assert(
      fc.property(fc.constantFrom(...roles), octets, (role, bytes) => {
        assert.strictEqual(failsAfter(role, Uint8Array.from(bytes), bytes.length + 1), judge(bytes).breaks)
      }),
      { numRuns: 1000 }
    )
  })

  it("agrees with the grammar of RFC 3629, however a message is cut into fragments and chunks", () => {
    fc.assert(
      fc.property(
        fc.constantFrom(...roles),
        octets,
        fc.integer({ min: 1, max: 9 }),
        fc.integer({ min: 1, max: 40 }),
        (role, bytes, fragment, chop) => {
          const message = latin1(Uint8Array.from(bytes))
          const parts = message.match(new RegExp(`[^]{1,${fragment}}`, "g")) ?? [""]
          const { ended, written } = echo(role, sentTo(role, ...fragmented(...parts)), chop, borrowed)
          const expected = judge(bytes).whole
            ? { errors: [], frames: [text(fromLatin1(message))] }
            : { errors: [invalid.error], frames: [invalid.close] }
          assert.deepStrictEqual(ended.map(plainError), expected.errors)
          assert.deepStrictEqual(written, expected.frames.map(show))
        }
      ),
      { numRuns: 1000 }
    )
  })
})
