import { assert, describe, it } from "vitest"
import { concat } from "../support.js"
import {
  binary,
  close,
  conformance,
  echo,
  peerOf,
  ping,
  plainError,
  roles,
  sentTo,
  show,
  text,
  violated,
  type Case,
  type End
} from "./support.js"

const sizes = [0, 125, 126, 127, 128, 65535, 65536]

const cases: ReadonlyArray<Case> = sizes.flatMap((size, i) => {
  const stars = text("*".repeat(size))
  const octets = binary(new Uint8Array(size).fill(0xfe))
  return [
    { name: `1.1.${i + 1} text of ${size} bytes`, input: [stars], output: [stars] },
    { name: `1.2.${i + 1} binary of ${size} bytes`, input: [octets], output: [octets] }
  ]
})

// 1.1.8 and 1.2.8 are the largest ones in chops of 997 bytes.
conformance("framing", cases, [997])

for (const role of roles) {
  describe(`headers, as ${role}`, () => {
    const masked = role === "server"
    const illegal = (name: string, bytes: Uint8Array, end: End) => {
      it(name, () => {
        const hello = text("Hello, world!")
        for (const chop of [Number.MAX_SAFE_INTEGER, 1]) {
          const { ended, written } = echo(role, concat([sentTo(role, hello), bytes]), chop, false)
          assert.deepStrictEqual(written, [hello, end.close].map(show))
          assert.deepStrictEqual(ended.map(plainError), [end.error])
        }
      })
    }

    const long = violated(1002, "5.2", "A length is not in its shortest form")
    for (const size of [0, 125]) {
      const length = [126 | (masked ? 128 : 0), 0, size]
      illegal(`${size} in 16 bits`, Uint8Array.from([0x82, ...length, ...new Uint8Array(size + 4)]), long)
    }
    for (const size of [0, 125, 126, 65535]) {
      const length = [127 | (masked ? 128 : 0), 0, 0, 0, 0, 0, 0, size >> 8, size & 255]
      illegal(`${size} in 64 bits`, Uint8Array.from([0x82, ...length, ...new Uint8Array(size + 4)]), long)
    }

    const wrong = violated(1002, "5.1", masked ? "A client's frame is not masked" : "A server's frame is masked")
    for (const frame of [text("x"), binary(), ping("x"), close(1000)]) {
      illegal(`${show(frame)} of the wrong role`, sentTo(peerOf(role), frame), wrong)
    }
  })
}
