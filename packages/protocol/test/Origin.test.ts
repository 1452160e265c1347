import * as fc from "fast-check"
import { assert, describe, it } from "vitest"
import * as Origin from "@effect-websocket/protocol/Origin"

const hosts = fc
  .array(fc.constantFrom("a", "B", "0", "-1", "example", "xn--bcher-kva"), { minLength: 1, maxLength: 4 })
  .map((labels) => `a${labels.join(".")}.example`)

type Case = readonly [origin: string | undefined, host: string | undefined, allowed: boolean]

const check = (policy: Origin.Policy, [origin, host, allowed]: Case) => {
  const expected = allowed ? undefined : `The origin ${JSON.stringify(origin)} is not allowed`
  assert.strictEqual(policy({ origin, host }), expected)
}

describe("Origin", () => {
  it.each([undefined, "null", "https://evil.example", "nonsense", ""])("allowAll allows %s", (origin) => {
    check(Origin.allowAll, [origin, "example.com", true])
    check(Origin.allowAll, [origin, undefined, true])
  })

  it.each<Case>([
    ["https://example.com", "example.com", true],
    ["https://example.com", undefined, true],
    ["HTTPS://Example.COM", "other", true],
    ["http://localhost:3000", "other", true],
    [undefined, "other", true],
    ["http://example.com", "example.com", false],
    ["https://example.com:8443", "example.com", false],
    ["https://example.com.evil.example", "example.com", false],
    ["https://sub.example.com", "example.com", false],
    ["https://example.com/", "example.com", false],
    ["https://example.com, https://evil.example", "example.com", false],
    ["http://localhost", "localhost", false],
    ["null", "example.com", false],
    ["", "example.com", false]
  ])("allowList of two: %s to %s is %s", (...request) => {
    check(Origin.allowList(["https://EXAMPLE.com", "http://localhost:3000"]), request)
  })

  it.each(["app.example.com", "localhost:3000", "*", "", "//example.com", "https://"])(
    "allowList refuses %j, which no page has",
    (text) => {
      assert.throws(() => Origin.allowList(["https://example.com", text]), RangeError, JSON.stringify(text))
    }
  )

  it.each([
    "https://*.example.com",
    "chrome-extension://*",
    "*://example.com",
    "ws://example.com",
    "wss://example.com",
    "https://user@example.com",
    "https://example.com https://other.example",
    "https://example.com,",
    "https:example.com",
    "blob:https://example.com/7c2a2a1e",
    "capacitor://",
    "capacitor:localhost",
    "file://host",
    "NULL"
  ])("allowList says why %j matches no page", (text) => {
    const message = `origin cannot be ${JSON.stringify(text)}, which matches no page: `
    assert.throws(() => Origin.allowList([text]), RangeError, message)
  })

  it.each([
    ["chrome-extension://mdplmiioglkpgkgblfdilgebpppgdlmn", "chrome-extension://mdplmiioglkpgkgblfdilgebpppgdlmn"],
    ["moz-extension://7C2A2A1E-0000-4000-8000-000000000000", "moz-extension://7c2a2a1e-0000-4000-8000-000000000000"],
    ["chrome-extension://abc/popup.html", "chrome-extension://abc"],
    ["safari-web-extension://abc/", "safari-web-extension://ABC"],
    ["capacitor://localhost/", "capacitor://localhost"],
    ["Capacitor://LocalHost", "capacitor://localhost"],
    ["ionic://localhost:8100/", "ionic://localhost:8100"],
    ["tauri://localhost", "tauri://localhost"],
    ["app://obsidian.md/index.html", "app://obsidian.md"],
    ["vscode-webview://0q2k1abc?id=1", "vscode-webview://0q2k1abc"],
    ["null", "null"],
    ["file://", "file://"],
    ["file:///", "file://"],
    ["https://a.example/", "https://a.example"],
    ["https://a.example/app/", "https://a.example"],
    ["HTTPS://A.Example:443", "https://a.example"],
    ["http://a.example:80/", "http://a.example"],
    ["https://b\u00fccher.example", "https://xn--bcher-kva.example"],
    ["https://[2001:DB8::0:1]:8443/", "https://[2001:db8::1]:8443"],
    [" https://a.example ", "https://a.example"],
    ["https://a.example", "https://a.example:443"]
  ])("allowList with %j allows %j", (entry, origin) => {
    const policy = Origin.allowList([entry])
    check(policy, [origin, "example.com", true])
    for (const other of [`${origin}.evil.example`, `${origin}/`, `${origin}:1`, "https://evil.example", `x${origin}`]) {
      check(policy, [other, "example.com", false])
    }
  })

  it("allowList accepts every entry in the form that browsers send", () => {
    const scheme = fc.constantFrom("http", "https", "capacitor", "chrome-extension", "app+x")
    const port = fc.option(fc.integer({ min: 1, max: 65_535 }), { nil: undefined })
    fc.assert(
      fc.property(scheme, hosts, port, fc.constantFrom("", "/", "/path", "?q", "#f"), (scheme, host, port, rest) => {
        const entry = `${scheme}://${host}${port === undefined ? "" : `:${port}`}`
        const policy = Origin.allowList([entry + rest])
        check(policy, [entry, "example.com", true])
        check(policy, [`${entry}0.example`, "example.com", false])
      })
    )
  })

  it("allowList accepts any text or throws a RangeError", () => {
    fc.assert(
      fc.property(
        fc.oneof(
          fc.string(),
          fc.string().map((text) => `app://${text}`),
          hosts.map((host) => `https://${host}/`)
        ),
        (text) => {
          try {
            Origin.allowList([text])
          } catch (error) {
            assert.instanceOf(error, RangeError)
          }
        }
      )
    )
  })

  it("an empty allowList allows only requests without an origin", () => {
    check(Origin.allowList([]), [undefined, "example.com", true])
    check(Origin.allowList([]), ["https://example.com", "example.com", false])
  })

  it.each<Case>([
    [undefined, "example.com", true],
    [undefined, undefined, true],
    ["https://example.com", "example.com", true],
    ["http://example.com", "example.com", true],
    ["https://EXAMPLE.com", "example.COM", true],
    // The default port of the page's scheme may be written or not.
    ["https://example.com", "example.com:443", true],
    ["https://example.com:443", "example.com", true],
    ["http://example.com", "example.com:80", true],
    ["http://example.com:80", "example.com", true],
    ["https://example.com", "example.com:80", false],
    ["http://example.com", "example.com:443", false],
    ["http://localhost:8080", "localhost:8080", true],
    ["http://localhost:8080", "localhost:8081", false],
    ["http://localhost:8080", "localhost", false],
    ["http://localhost", "localhost:8080", false],
    ["https://evil.example", "example.com", false],
    ["https://sub.example.com", "example.com", false],
    ["https://example.com.evil.example", "example.com", false],
    ["https://notexample.com", "example.com", false],
    ["https://example.com.", "example.com", false],
    // Addresses.
    ["http://127.0.0.1:8080", "127.0.0.1:8080", true],
    ["http://127.0.0.1", "localhost", false],
    ["http://[::1]:8080", "[::1]:8080", true],
    ["http://[::1]", "[0:0:0:0:0:0:0:1]:80", true],
    ["http://[::1]", "[::2]", false],
    ["http://[::1]:8080", "[::1]", false],
    ["http://[::1]", "::1", false],
    ["http://[::1]", "[::1", false],
    // Values that are not an origin.
    ["null", "null", false],
    ["null", "example.com", false],
    ["", "example.com", false],
    ["", "", false],
    ["example.com", "example.com", false],
    ["//example.com", "example.com", false],
    ["https://", "example.com", false],
    ["https://example.com:99999", "example.com", false],
    ["https://example.com https://evil.example", "example.com", false],
    ["file:///etc/passwd", "", false],
    ["file://", undefined, false],
    ["data:text/html,x", "example.com", false],
    ["data:text/html,x", "", false],
    // A host is missing, or is more than a host.
    ["https://example.com", undefined, false],
    ["https://example.com", "", false],
    ["https://example.com", "user@example.com", false],
    ["https://example.com", "evil.example@example.com", false],
    ["https://example.com", "user:password@example.com", false],
    ["https://example.com", "example.com/path", false],
    ["https://example.com", "example.com/", false],
    ["https://example.com", "example.com\\evil.example", false],
    ["https://example.com", "example.com?x", false],
    ["https://example.com", "example.com#x", false],
    ["https://example.com", "example.com, evil.example", false],
    ["https://example.com", "example.com:443:443", false],
    ["https://example.com@evil.example", "example.com", false],
    ["https://evil.example#example.com", "example.com", false],
    ["https://evil.example/example.com", "example.com", false]
  ])("sameOrigin: %j to %j is %s", (...request) => {
    check(Origin.sameOrigin(), request)
  })

  it.each<["http" | "https", ...Case]>([
    ["https", "https://example.com", "example.com", true],
    ["https", "http://example.com", "example.com", false],
    ["https", "http://example.com:443", "example.com:443", false],
    ["http", "http://example.com", "example.com", true],
    ["http", "https://example.com", "example.com", false],
    ["https", "HTTPS://example.com", "example.com", true],
    ["https", "wss://example.com", "example.com", false],
    ["https", "https://example.com", "example.com:80", false],
    ["https", "https://evil.example", "example.com", false],
    ["https", undefined, undefined, true]
  ])("sameOrigin over %s: %s to %s is %s", (scheme, ...request) => {
    check(Origin.sameOrigin({ scheme }), request)
  })

  it("predicate gets the origin unchanged, and only if there is one", () => {
    const asked: Array<string> = []
    const policy = Origin.predicate((origin) => {
      asked.push(origin)
      return origin.endsWith(".Example.com")
    })
    check(policy, ["https://a.Example.com", "other", true])
    check(policy, ["https://a.example.com", "other", false])
    check(policy, ["null", undefined, false])
    check(policy, [undefined, "other", true])
    assert.deepStrictEqual(asked, ["https://a.Example.com", "https://a.example.com", "null"])
  })

  it("required refuses requests without an origin, and asks another policy otherwise", () => {
    const policy = Origin.required(Origin.allowList(["https://example.com"]))
    assert.isString(policy({ origin: undefined, host: "example.com" }))
    check(policy, ["https://example.com", "other", true])
    check(policy, ["https://evil.example", "other", false])
  })

  it("applies a policy to headers of any kind", () => {
    const policy = Origin.required(Origin.sameOrigin())
    assert.isUndefined(Origin.check(policy, { Origin: "https://a", HOST: "a" }))
    assert.isUndefined(Origin.check(policy, new Headers({ Origin: "https://a", Host: "a" })))
    assert.isString(Origin.check(policy, { Origin: "https://a", Host: "b" }))
    assert.isString(Origin.check(policy, { Host: "a" }))
    assert.isString(Origin.check(policy, { origin: ["https://a", "https://a"], host: "a" }))
  })
})
