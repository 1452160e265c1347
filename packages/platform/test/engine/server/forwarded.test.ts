import { clientAddress, plainAddress, type ProxySettings } from "../../../src/engine/server/forwarded.js"
import { assert, describe, it } from "@effect/vitest"
import * as fc from "fast-check"

const trusted = (address: string) => address.startsWith("10.") || address.startsWith("fd00:")

const of =
  (settings: Partial<ProxySettings> = {}) =>
  (remote: string | undefined, ...lines: ReadonlyArray<string>) => {
    const proxies = { trusted, header: "x-forwarded-for", trustUnixSocket: false, ...settings }
    return clientAddress(remote, { [proxies.header]: lines }, proxies)
  }

describe("clientAddress", () => {
  const listed = of()

  it("reads the list as far as its proxies are trusted", () => {
    assert.strictEqual(listed("192.0.2.1", "198.51.100.7"), "192.0.2.1")
    assert.strictEqual(listed("10.0.0.1", "198.51.100.7"), "198.51.100.7")
    assert.strictEqual(listed("::ffff:10.0.0.1", "1.2.3.4, 198.51.100.7, 10.0.0.2"), "198.51.100.7")
    assert.strictEqual(listed("::ffff:a00:1", "1.2.3.4, 198.51.100.7, ::ffff:a00:2"), "198.51.100.7")
    assert.strictEqual(listed("10.0.0.1", "1.2.3.4", "198.51.100.7"), "198.51.100.7")
    assert.strictEqual(listed("10.0.0.1", "10.0.0.3,10.0.0.2"), "10.0.0.3")
    assert.strictEqual(listed("10.0.0.1"), "10.0.0.1")
    assert.strictEqual(listed("FD00:0::1", "2001:DB8::0:1"), "2001:db8::1")
  })

  it("reads each form that proxies write", () => {
    for (const [entry, expected] of [
      ["198.51.100.7:4711", "198.51.100.7"],
      ["[2001:db8::1]", "2001:db8::1"],
      ["[2001:db8::1]:4711", "2001:db8::1"],
      ["2001:0DB8::0001", "2001:db8::1"],
      ["::ffff:198.51.100.7", "198.51.100.7"],
      ["[::ffff:198.51.100.7]:4711", "198.51.100.7"],
      ["\t 198.51.100.7 \t", "198.51.100.7"],
      ["198.51.100.7, ", "198.51.100.7"],
      ["1.2.3.4, 198.51.100.7,, ,10.0.0.2:80", "198.51.100.7"],
      [", 198.51.100.7, 10.0.0.3:80, [fd00::1]:443", "198.51.100.7"]
    ] as const) {
      assert.strictEqual(listed("10.0.0.1", entry), expected, entry)
    }
    assert.strictEqual(listed("10.0.0.1", "", "198.51.100.7", ""), "198.51.100.7")
  })

  it("ignores an entry that is not an address", () => {
    for (const text of [
      "unknown",
      "_hidden",
      "unix:",
      "",
      "a".repeat(1000),
      "192.0.2.1, <script>",
      "192.0.2.1 192.0.2.2"
    ]) {
      assert.strictEqual(listed("10.0.0.1", text), "10.0.0.1")
      assert.strictEqual(listed("10.0.0.1", `192.0.2.1, ${text}, 10.0.0.2`), text === "" ? "192.0.2.1" : "10.0.0.2")
    }
  })

  it("reads another header if the settings name it", () => {
    assert.strictEqual(of({ header: "x-real-ip" })("10.0.0.1", "198.51.100.7"), "198.51.100.7")
  })

  it("writes an IPv4 address within IPv6 as one of IPv4, and leaves alone what is no address", () => {
    assert.isUndefined(plainAddress(undefined))
    assert.strictEqual(plainAddress("10.0.0.1"), "10.0.0.1")
    assert.strictEqual(plainAddress("::ffff:10.0.0.1"), "10.0.0.1")
    assert.strictEqual(plainAddress("a peer"), "a peer")
  })

  it("trusts a peer without an address only if the settings say so", () => {
    assert.isUndefined(listed(undefined, "198.51.100.7"))
    const behindSocket = of({ trustUnixSocket: true })
    assert.strictEqual(behindSocket(undefined, "1.2.3.4, 198.51.100.7"), "198.51.100.7")
    assert.strictEqual(behindSocket(undefined, "198.51.100.7, 10.0.0.2"), "198.51.100.7")
    assert.strictEqual(behindSocket("192.0.2.1", "198.51.100.7"), "192.0.2.1")
    assert.isUndefined(behindSocket(undefined, "198.51.100.7, unix:"))
    assert.isUndefined(behindSocket(undefined))
  })

  it("never goes beyond the first address that is not trusted, whatever the client wrote", () => {
    fc.assert(
      fc.property(fc.array(fc.string(), { maxLength: 3 }), fc.ipV6(), (invented, proxy) => {
        assert.strictEqual(listed("10.0.0.1", ...invented, `192.0.2.1:99, [fd00::1]:1`, "10.9.9.9"), "192.0.2.1")
        assert.strictEqual(listed("192.0.2.9", ...invented, proxy), "192.0.2.9")
      })
    )
  })
})

describe("clientAddress by Forwarded", () => {
  const forwarded = of({ header: "forwarded" })

  it("reads the parameter for, whatever stands around it", () => {
    for (const [lines, expected] of [
      [["for=198.51.100.7"], "198.51.100.7"],
      [['for="198.51.100.7:4711"'], "198.51.100.7"],
      [['For="[2001:DB8::1]:4711"'], "2001:db8::1"],
      [['for="[2001:db8::1]";proto=https;by=203.0.113.43'], "2001:db8::1"],
      [['by="[fd00::1]";host="a;b,c";FOR="[2001:db8::1]:_obf" ; proto=http'], "2001:db8::1"],
      [['for="198\\.51.100.7"'], "198.51.100.7"],
      [["for=1.2.3.4, for=198.51.100.7;proto=https , for=10.0.0.2"], "198.51.100.7"],
      [["for=1.2.3.4", "for=198.51.100.7", 'for="[fd00::2]:80"'], "198.51.100.7"],
      [['for=198.51.100.7;ext="a\\",for=1.2.3.4", for=10.0.0.2'], "198.51.100.7"]
    ] as const) {
      assert.strictEqual(forwarded("10.0.0.1", ...lines), expected, lines.join("|"))
    }
  })

  it("ends at an element without an address", () => {
    for (const element of [
      "for=unknown",
      "for=_hidden",
      'for="_hidden:80"',
      "for=",
      "for",
      "proto=https",
      "for=1.2.3.4;for=5.6.7.8",
      'for="1.2.3.4',
      "198.51.100.7",
      'for="a""b"'
    ]) {
      assert.strictEqual(forwarded("10.0.0.1", `for=1.2.3.4, ${element}`), "10.0.0.1", element)
      assert.strictEqual(forwarded("10.0.0.1", `for=1.2.3.4, ${element}, for=10.0.0.2`), "10.0.0.2", element)
    }
  })

  it("does not read a header of the other kind", () => {
    const proxies = { trusted, header: "forwarded", trustUnixSocket: false }
    assert.strictEqual(clientAddress("10.0.0.1", { "x-forwarded-for": "1.2.3.4" }, proxies), "10.0.0.1")
  })

  it("never goes beyond the first address that is not trusted, whatever the client wrote", () => {
    const hostile = fc
      .array(fc.constantFrom('"', "\\", ",", ";", "for=", "6.6.6.6", 'for="', " ", "10.0.0.9", '\\"'), {
        maxLength: 12
      })
      .map((parts) => parts.join(""))
    const wrote = fc.constantFrom("192.0.2.1", '"192.0.2.1:80"', '"\\192.0.2.1"')
    fc.assert(
      fc.property(fc.oneof(hostile, fc.string()), wrote, (invented, node) => {
        const line = `for=${node};host="a\\\\",for="[fd00::1]:80"`
        assert.strictEqual(forwarded("10.0.0.1", invented, line), "192.0.2.1")
        assert.strictEqual(forwarded("10.0.0.1", `${invented},${line}`), "192.0.2.1")
      })
    )
  })
})
