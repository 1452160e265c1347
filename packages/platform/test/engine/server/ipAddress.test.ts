import { canonical, canonicalNode, network } from "../../../src/engine/server/ipAddress.js"
import { assert, describe, it } from "@effect/vitest"
import * as fc from "fast-check"
import { isIP, SocketAddress } from "node:net"

/** Texts that look like addresses, right and wrong. */
const almost = fc
  .array(
    fc.constantFrom("0", "1", "ffff", "::", ":", ".", "255", "256", "1.2.3.4", "[", "]", "%", "a", "G", " ", "01"),
    {
      maxLength: 12
    }
  )
  .map((parts) => parts.join(""))

describe("canonical", () => {
  for (const [text, expected] of [
    ["192.0.2.1", "192.0.2.1"],
    ["0.0.0.0", "0.0.0.0"],
    ["::1", "::1"],
    ["0:0:0:0:0:0:0:1", "::1"],
    ["::", "::"],
    ["2001:DB8:0:0:1:0:0:0", "2001:db8:0:0:1::"],
    ["2001:db8:0:1:1:1:1:1", "2001:db8:0:1:1:1:1:1"],
    ["2001:0db8::0001", "2001:db8::1"],
    ["fe80::1%eth0", "fe80::1"],
    ["::ffff:192.0.2.1", "192.0.2.1"],
    ["::FFFF:c000:0201", "192.0.2.1"],
    ["0:0:0:0:0:ffff:192.0.2.1", "192.0.2.1"],
    ["64:ff9b::192.0.2.33", "64:ff9b::c000:221"]
  ] as const) {
    it(`${text} is ${expected}`, () => {
      assert.strictEqual(canonical(text), expected)
    })
  }

  for (const text of [
    "",
    "unknown",
    "_hidden",
    "192.0.2",
    "192.0.2.256",
    "192.0.2.01",
    "0x7f.0.0.1",
    " 192.0.2.1",
    ":::",
    "1::2::3",
    "1:2:3:4:5:6:7",
    "1:2:3:4:5:6:7:8:9",
    "1::2:3:4:5:6:7:8",
    "1.2.3.4::",
    "12345::",
    "[::1]",
    "1".repeat(1000)
  ]) {
    it(`${JSON.stringify(text.slice(0, 20))} is not an address`, () => {
      assert.isUndefined(canonical(text))
    })
  }

  it("knows the same addresses as Node, and spells them as it does", () => {
    fc.assert(
      fc.property(fc.oneof(fc.ipV4(), fc.ipV6(), almost), (text) => {
        const family = text.includes("%") ? 0 : isIP(text)
        if (family === 0) {
          if (!text.includes("%")) assert.isUndefined(canonical(text))
          return
        }
        const { address } = new SocketAddress({ address: text, family: family === 4 ? "ipv4" : "ipv6" })
        const mapped = /^::ffff:(.*\..*)$/.exec(address)?.[1]
        // RFC 5952 §5: Node writes other embedded IPv4 addresses with dots, too.
        if (family === 4 || mapped !== undefined || !address.includes(".")) {
          assert.strictEqual(canonical(text), mapped ?? address)
        }
      })
    )
  })

  it("returns its own result unchanged", () => {
    fc.assert(
      fc.property(fc.oneof(fc.ipV4(), fc.ipV6()), (text) => {
        const once = canonical(text)
        assert.isDefined(once)
        assert.strictEqual(canonical(once ?? ""), once)
      })
    )
  })
})

describe("canonicalNode", () => {
  for (const [text, expected] of [
    ["192.0.2.1", "192.0.2.1"],
    ["192.0.2.1:4711", "192.0.2.1"],
    ["192.0.2.1:_port", "192.0.2.1"],
    ["2001:db8::1", "2001:db8::1"],
    ["[2001:db8::1]", "2001:db8::1"],
    ["[2001:DB8::1]:4711", "2001:db8::1"],
    ["[::ffff:192.0.2.1]:4711", "192.0.2.1"],
    ["::ffff:192.0.2.1", "192.0.2.1"],
    ["::ffff:192.0.2.1:4711", "192.0.2.1"],
    ["1:2:3:4:5:6:7:8:4711", "1:2:3:4:5:6:7:8"]
  ] as const) {
    it(`${text} is ${expected}`, () => {
      assert.strictEqual(canonicalNode(text), expected)
    })
  }

  for (const text of [
    "unknown",
    "_hidden",
    "unix:",
    "[192.0.2.1]",
    "[::1",
    "::1]",
    "[::1]4711",
    "[::1]:",
    "[]",
    "192.0.2.1:",
    "192.0.2.1:http",
    "192.0.2.1:123456",
    ":4711",
    "1.2.3.4:5:6",
    ""
  ]) {
    it(`${JSON.stringify(text)} is not an address`, () => {
      assert.isUndefined(canonicalNode(text))
    })
  }

  it("drops brackets and ports of any address", () => {
    fc.assert(
      fc.property(fc.ipV4(), fc.ipV6(), fc.nat(65_535), (v4, v6, port) => {
        assert.strictEqual(canonicalNode(`${v4}:${port}`), v4)
        for (const text of [v6, `[${v6}]`, `[${v6}]:${port}`]) assert.strictEqual(canonicalNode(text), canonical(v6))
      })
    )
  })
})

describe("network", () => {
  it("is the /64 of IPv6, and the address of IPv4", () => {
    for (const [address, expected] of [
      ["192.0.2.1", "192.0.2.1"],
      ["::ffff:192.0.2.1", "192.0.2.1"],
      ["::ffff:c000:201", "192.0.2.1"],
      ["::1", "0:0:0:0::/64"],
      ["0:0:0:0:0:0:0:1", "0:0:0:0::/64"],
      ["2001:db8:1:2:3:4:5:6", "2001:db8:1:2::/64"],
      ["2001:0DB8:0001:2::1", "2001:db8:1:2::/64"],
      ["2001:db8::1", "2001:db8:0:0::/64"],
      ["fe80::1:2:3:4", "fe80:0:0:0::/64"],
      ["::", "0:0:0:0::/64"]
    ] as const) {
      assert.strictEqual(network(address), expected)
    }
  })

  it("is the text of anything else", () => {
    fc.assert(fc.property(fc.string(), (text) => network(`x${text}`) === `x${text}`))
  })
})
